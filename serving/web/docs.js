// The description of the API as a page: every operation, its parameters, and a button to try it.
"use strict";

const $ = (id) => document.getElementById(id);

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

function bounds(schema) {
  const said = (schema.anyOf || [schema]).find((one) => one.type !== "null") || {};
  const words = [said.type, said.enum && said.enum.join(" | ")];
  if (said.minimum !== undefined) words.push(`from ${said.minimum}`);
  if (said.maximum !== undefined) words.push(`to ${said.maximum}`);
  if (said.maxLength !== undefined) words.push(`at most ${said.maxLength} long`);
  if (schema.default !== undefined && schema.default !== null) words.push(`else ${schema.default}`);
  return words.filter(Boolean).join(", ");
}

function parameters(list) {
  const inputs = new Map();
  const table = element("table", null);
  for (const one of list) {
    const input = element("input", null);
    const example = one.example ?? (one.schema.examples || [])[0];
    input.setAttribute("aria-label", one.name);
    if (one.required && example !== undefined) input.value = example;
    inputs.set(one, input);
    const name = element("th", null, element("code", one.name), one.required ? " *" : "");
    const told = [one.description || one.schema.description, bounds(one.schema)];
    table.append(element("tr", null, name, element("td", null, input),
      element("td", told.filter(Boolean).join(" · "))));
  }
  return [table, inputs];
}

function address(path, inputs) {
  const query = new URLSearchParams();
  for (const [one, input] of inputs) {
    if (one.in === "path") path = path.replace(`{${one.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.append(one.name, input.value);
  }
  return query.size ? `${path}?${query}` : path;
}

async function call(method, path, body) {
  const headers = {};
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  if (body !== null) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body });
  const text = await answer.text();
  let shown = text;
  try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it is */ }
  return `${answer.status} ${answer.statusText}\n${shown}`;
}

function operation(method, path, said) {
  const [table, inputs] = parameters(said.parameters || []);
  const content = said.requestBody && said.requestBody.content["application/json"];
  const body = content ? element("textarea", JSON.stringify(content.example ?? {}, null, 2)) : null;
  const told = element("pre", "");
  const go = element("button", "Try it");
  told.hidden = true;
  told.setAttribute("aria-live", "polite");
  if (body) body.setAttribute("aria-label", "Body");
  go.type = "button";
  go.addEventListener("click", async () => {
    told.hidden = false;
    told.textContent = "…";
    const sent = body ? body.value : null;
    try { told.textContent = await call(method, address(path, inputs), sent); }
    catch (error) { told.textContent = String(error); }
  });
  const verb = element("span", method);
  verb.className = "method";
  const key = said.security ? " (key)" : "";
  const summary = element("summary", null, verb, element("code", path), ` ${said.summary}${key}`);
  const parts = [element("p", said.description || ""), table, body, go, told].filter(Boolean);
  return element("details", null, summary, element("div", null, ...parts));
}

async function show() {
  const api = await (await fetch("/openapi.json")).json();
  $("about").textContent = `${api.info.description.trim()} Version ${api.info.version}.`;
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, said] of Object.entries(operations)) {
      $("operations").append(operation(method.toUpperCase(), path, said));
    }
  }
}

show().catch((error) => { $("about").textContent = `No description: ${error.message}`; });
