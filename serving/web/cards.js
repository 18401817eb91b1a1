// Product cards, in a grid or in a row.
import { pictureOf } from "./picture.js";
import { price, sentence, SOURCES, tag } from "./words.js";

const template = document.getElementById("card");

/** The items by card element, so that a click knows what it clicked. */
export const itemOf = new WeakMap();

/** Replaces a list's cards; the focus stays on the same product when it is still there. */
export function showCards(list, items, isNew = () => false) {
  const focused = list.contains(document.activeElement)
    ? [document.activeElement.closest(".card")?.dataset.id, document.activeElement.dataset.type]
    : null;
  list.replaceChildren(...items.map((item) => cardOf(item, isNew(item))));
  if (!focused) return;
  const again = [...list.children].find((card) => card.dataset.id === focused[0]) ?? list.firstElementChild;
  const same = focused[1] ? again?.querySelector(`[data-type="${focused[1]}"]`) : null;
  (same ?? again?.querySelector(".open"))?.focus();
}

export function describe(root, item) {
  const say = (part, text) => { root.querySelector(part).textContent = text; };
  say(".kind", sentence(item.category.at(-1) ?? ""));
  say(".price", price(item.price));
  say(".reason", (item.reason ?? "").replace(/[A-Z]{2}[^a-z]*$/, sentence));
  root.querySelector(".picture").replaceChildren(pictureOf(item));
}

function cardOf(item, isNew) {
  const card = template.content.firstElementChild.cloneNode(true);
  itemOf.set(card, item);
  card.dataset.id = item.id;
  card.classList.toggle("new", isNew);
  describe(card, item);
  card.querySelector(".name").textContent = sentence(item.title);
  card.querySelector(".sources").replaceChildren(...badges(item.sources ?? []));
  for (const button of card.querySelectorAll(".does button")) {
    button.setAttribute("aria-label", `${button.textContent}: ${sentence(item.title)}`);
  }
  return card;
}

function badges(sources) {
  const said = sources.map((source) => SOURCES[source] ?? [source, source]);
  const shown = said.slice(0, 2).map(([label, title]) => Object.assign(tag("span", label), { title }));
  const more = said.slice(2).map(([, title]) => title).join("; ");
  return more ? [...shown, Object.assign(tag("span", `+${said.length - 2}`), { title: more })] : shown;
}
