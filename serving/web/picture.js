// A picture for a product that has none: a packaging that suits its words, in colours of its own.

const SVG = "http://www.w3.org/2000/svg";

// Outlines in a box of 120 x 120, and where the label goes: [path, x, y, width, height].
const SHAPES = {
  bottle: ["M52 12h16v16c0 8 12 10 12 24v48c0 5-3 8-8 8H48c-5 0-8-3-8-8V52c0-14 12-16 12-24Z", 40, 60, 40, 30],
  jug: ["M48 14h20v10l14 16v60c0 5-3 8-8 8H42c-5 0-8-3-8-8V44l14-18ZM82 48h8c6 0 9 4 9 9v18c0 6-4 9-9 9h-8v-8h5c2 0 3-1 3-3V59c0-2-1-3-3-3h-5Z", 34, 58, 48, 30],
  can: ["M38 20c0-8 44-8 44 0v80c0 8-44 8-44 0Z", 38, 42, 44, 38],
  jar: ["M40 16h40v12H40ZM44 30h32c8 4 10 8 10 16v52c0 6-4 10-10 10H44c-6 0-10-4-10-10V46c0-8 2-12 10-16Z", 34, 56, 52, 32],
  carton: ["M40 34 52 14h24l8 20v68c0 4-2 6-6 6H46c-4 0-6-2-6-6Z", 40, 52, 44, 34],
  box: ["M30 26h60c3 0 5 2 5 5v68c0 3-2 5-5 5H30c-3 0-5-2-5-5V31c0-3 2-5 5-5Z", 25, 48, 70, 32],
  bag: ["M36 18c8 5 40 5 48 0l-4 14c10 24 12 50 8 72-18 6-38 6-56 0-4-22-2-48 8-72Z", 33, 54, 54, 30],
  tub: ["M28 40h64l-7 58c-1 5-4 8-9 8H44c-5 0-8-3-9-8ZM24 28c0-3 2-4 4-4h64c2 0 4 1 4 4v8H24Z", 31, 54, 58, 28],
  tray: ["M20 44h80l-8 44c-1 5-4 8-9 8H37c-5 0-8-3-9-8Z", 26, 58, 68, 22],
  round: ["M60 30c14-14 42-4 40 28-1 28-22 48-40 44-18 4-39-16-40-44-2-32 26-42 40-28Z", 0, 0, 0, 0],
  leaf: ["M60 108C20 92 18 50 60 12c42 38 40 80 0 96Z", 0, 0, 0, 0],
  loaf: ["M28 92c-12-8-14-30-4-38 4-16 68-16 72 0 10 8 8 30-4 38-2 6-62 6-64 0Z", 0, 0, 0, 0],
  book: ["M34 18h52c4 0 6 2 6 6v72c0 4-2 6-6 6H34c-6 0-8-4-8-8V26c0-5 3-8 8-8Z", 38, 34, 42, 26],
  tube: ["M46 12h28v14H46ZM42 28h36l6 72c0 5-3 8-8 8H44c-5 0-8-3-8-8Z", 39, 52, 42, 30],
};

// What is drawn on a shape without a label.
const STROKES = {
  round: ["M60 30c-1-6 2-12 9-15"],
  leaf: ["M60 96V44", "M60 76 46 62M60 66l14-14"],
  loaf: ["M46 66l8 10M60 63l8 10M74 66l7 9"],
};

const SUITS = [
  [/beer|\bale\b|wine|spirit|liquor|soda|water|ketchup|oil|vinegar|dressing|syrup/, "bottle"],
  [/milk|juice|cream|egg nog|carton/, "carton"], [/deterg|bleach|gallon|fluid|laundry|gas|fuel/, "jug"],
  [/soup|can\b|canned|tuna|bean|soft drink|energy|pet|cat food|dog/, "can"],
  [/jam|sauce|salsa|pickle|olive|honey|peanut|spice|coffee|vitamin|drug|health|candle/, "jar"],
  [/yogh?urt|ice cream|butter|margarine|dip|cottage|deli|spread|salad/, "tub"],
  [/apple|orange|citrus|berr|peach|melon|tomato|potato|onion|fruit|grape|pepper|egg/, "round"],
  [/lettuce|vegetable|herb|broccoli|cabbage|celery|produce|flor|flower|plant|spinach|organic/, "leaf"],
  [/bread|bun|roll|bagel|bakery|muffin|cake|donut|pastr|sweet goods|tortilla/, "loaf"],
  [/chip|snack|candy|chocolate|nut|popcorn|cookie|pretzel|rice|sugar|flour|frozen|cheese/, "bag"],
  [/beef|meat|pork|chicken|poultry|ham|sausage|bacon|fish|seafood|shrimp|turkey/, "tray"],
  [/shampoo|hair|lotion|tooth|cosmetic|cream|soap|baby|makeup/, "tube"],
  [/book|magazine|card|paper|towel|tissue|news/, "book"],
];

/** An <svg> for an item, the same every time. */
export function pictureOf(item) {
  const seed = hash(item.id);
  const hue = hash(item.category.join("/") || item.id) % 360;
  const svg = node("svg", { viewBox: "0 0 160 120", preserveAspectRatio: "xMidYMid slice" });
  svg.append(
    node("rect", { width: 160, height: 120, fill: `hsl(${hue} 45% 89%)` }),
    node("circle", { cx: 20 + seed % 120, cy: 10 + (seed >> 7) % 60, r: 46, fill: `hsl(${(hue + 24) % 360} 50% 83%)` }),
    node("ellipse", { cx: 80, cy: 108, rx: 38, ry: 5, fill: "rgb(0 0 0 / .12)" }),
    thing(shapeOf(item), `hsl(${(hue + seed % 50) % 360} ${44 + (seed >> 5) % 20}% ${44 + (seed >> 9) % 16}%)`, hue),
  );
  return svg;
}

function thing(shape, colour, hue) {
  const [outline, x, y, width, height] = SHAPES[shape];
  const group = node("g", { transform: "translate(20 0)" });
  group.append(node("path", { d: outline, fill: colour }));
  if (width) {
    group.append(
      node("rect", { x: x + 3, y, width: width - 6, height, rx: 3, fill: "rgb(255 255 255 / .9)" }),
      node("rect", { x: x + width * .22, y: y + height * .28, width: width * .56, height: 4, rx: 2, fill: colour }),
      node("rect", { x: x + width * .32, y: y + height * .58, width: width * .36, height: 3, rx: 1.5, fill: `hsl(${(hue + 180) % 360} 40% 60%)` }),
    );
  }
  const line = { fill: "none", stroke: "rgb(0 0 0 / .22)", "stroke-width": 4, "stroke-linecap": "round" };
  for (const d of STROKES[shape] ?? []) group.append(node("path", { d, ...line }));
  return group;
}

function shapeOf(item) {
  for (const text of [item.title, [...item.category].reverse().join(" ")]) {
    const found = SUITS.find(([words]) => words.test(text.toLowerCase()));
    if (found) return found[1];
  }
  return "box";
}

/** FNV-1a, stirred, so that neighbouring names get colours far apart. */
function hash(text) {
  let sum = 0x811c9dc5;
  for (const letter of text) sum = Math.imul(sum ^ letter.codePointAt(0), 0x01000193);
  sum = Math.imul(sum ^ (sum >>> 16), 0x7feb352d);
  return (sum ^ (sum >>> 15)) >>> 1;
}

function node(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
