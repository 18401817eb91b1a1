// One product, opened: what it is, what can be done with it, what is like it.
import * as api from "./api.js";
import { describe, itemOf, showCards } from "./cards.js";
import { sentence } from "./words.js";

const dialog = document.getElementById("product");
const LIKE = 8;

export async function open(item) {
  itemOf.set(dialog, item);
  describe(dialog, item);
  dialog.querySelector("#product-name").textContent = sentence(item.title);
  showSimilar([]);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  const { items } = await api.similar(item.id, LIKE).catch(() => ({ items: [] }));
  if (itemOf.get(dialog) === item) showSimilar(items, true);
}

export function close() {
  dialog.close();
}

function showSimilar(items, asked = false) {
  showCards(dialog.querySelector(".similar"), items);
  dialog.querySelector(".empty").hidden = !asked || items.length > 0;
}
