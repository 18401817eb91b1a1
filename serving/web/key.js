// The API key of this tab, where the server wants one: asked for once, kept until the tab is closed.
import { tag } from "./words.js";

const KEPT = "api-key";
const again = document.getElementById("key-again");

let key = kept();
let declined = false;
let asking = null;

/** The key to send, or null. It is in no address and in no storage that outlives the tab. */
export const current = () => key;

/**
 * Asks a person for a key in place of the one that was refused, unless they have said no; resolves
 * with whether there is one to try. Requests that are refused side by side share one form.
 */
export function want(reason) {
  if (declined) return Promise.resolve(false);
  asking ??= new Promise((answered) => show(reason, answered)).finally(() => { asking = null; });
  return asking;
}

function show(reason, answered) {
  keep(null);
  const dialog = dialogOf(reason);
  dialog.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    keep(dialog.querySelector("input").value.trim());
    dialog.close();
  });
  dialog.querySelector(".quiet").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    declined = key === null;
    showAgain();
    answered(!declined);
  });
  document.body.append(dialog);
  dialog.showModal();
}

function dialogOf(reason) {
  const dialog = Object.assign(document.createElement("dialog"), { className: "key" });
  dialog.setAttribute("aria-labelledby", "key-title");
  dialog.setAttribute("aria-describedby", "key-reason");
  const input = Object.assign(document.createElement("input"), {
    type: "password", autocomplete: "off", required: true, autofocus: true,
    pattern: "\\s*mr_[0-9a-f]{12}_[A-Za-z0-9_\\-]+\\s*", title: "It begins with mr_",
  });
  const label = tag("label", "API key ");
  label.append(input);
  const form = document.createElement("form");
  form.append(
    label,
    Object.assign(tag("button", "Use it"), { type: "submit" }),
    Object.assign(tag("button", "Not now", "quiet"), { type: "button" }),
  );
  dialog.append(
    Object.assign(tag("h2", "A key is needed"), { id: "key-title" }),
    Object.assign(tag("p", reason), { id: "key-reason" }),
    form,
    tag("p", "It is kept in this tab alone, until you close it or forget the key.", "empty"),
  );
  return dialog;
}

function kept() {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null; // a browser that keeps nothing for anybody: the key lasts as long as the page
  }
}

function keep(said) {
  key = said;
  try {
    if (said === null) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, said);
  } catch { /* as above */ }
}

function showAgain() {
  again.hidden = key === null && !declined;
  again.textContent = key === null ? "Enter a key" : "Forget the key";
}

// A new page shows nothing that the old key has opened.
again.addEventListener("click", () => {
  keep(null);
  location.reload();
});
showAgain();
