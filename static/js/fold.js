// How messages stand on the page: units (a message, or a run of steps that is a whole message) in the order of the
// session, neighbouring steps under one fold whose line says what they were. The server arranges what it renders by the
// same rule (sessions_app/transcript.py, sessions_app/render/steps.py); here it is kept while things arrive.
import { copyAttributes } from "./elements.js";

const words = JSON.parse(document.querySelector("#messages")?.dataset.words ?? "{}");

export const unitsOf = (root) => [...root.querySelectorAll("[data-order]")];
export const compare = (a, b) => (a.dataset.order < b.dataset.order ? -1 : a.dataset.order > b.dataset.order ? 1 : 0);
const isRun = (unit) => unit.classList.contains("run");

// Seconds as people say them, to the letter as the server does (templatetags/transcript.py): both reckon in whole
// milliseconds, as the two languages round halves differently.
export const duration = (seconds) => {
  const milliseconds = Math.floor(seconds * 1000 + 0.5);
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const tenths = Math.floor((milliseconds + 50) / 100);
  if (tenths < 600) return `${Math.floor(tenths / 10)}.${tenths % 10} s`;
  const whole = Math.floor(milliseconds / 1000 + 0.5);
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

// What calls of one kind did; of files each counts once.
const sayKind = (kind, calls) => {
  const names = new Set(calls.map((call) => call[3]).filter(Boolean));
  const count = names.size + calls.filter((call) => !call[3]).length;
  const [one, several, same] = words[kind];
  if (same && count === 1 && names.size === 1) return same.replace("{}", () => [...names][0].split(/[\\/]/).at(-1));
  return (count > 1 ? several : one).replace("{}", count);
};
// The fold's own line, from the calls that its runs name as [kind, status, seconds, file].
const describe = (fold, calls) => {
  const byKind = new Map();
  for (const call of calls) byKind.set(call[0], [...(byKind.get(call[0]) ?? []), call]);
  const kinds = [...byKind.keys()].filter(Boolean).concat(byKind.has("") ? [""] : []);
  const said = kinds.map((kind) => sayKind(kind, byKind.get(kind)));
  const known = calls.map((call) => call[2]).filter((seconds) => seconds !== null);
  const line = [`${calls.length} steps`, said.join(", ")];
  if (known.length) line.push(duration(known.reduce((sum, seconds) => sum + seconds, 0)));
  const place = fold.querySelector(":scope > summary > [data-says]");
  place.textContent = line.join(" · ");
  if (calls.some((call) => call[1] === "error")) {
    const failed = document.createElement("span");
    failed.className = "failed";
    failed.textContent = "a step failed";
    place.append(" · ", failed);
  }
};

const shell = (folds) => {
  const fold = document.createElement(folds ? "details" : "div");
  fold.className = "steps";
  if (folds) fold.append(document.querySelector("#fold-summary").content.firstElementChild.cloneNode(true));
  const inside = document.createElement("div");
  inside.className = "inside";
  fold.append(inside);
  return fold;
};

const insideOf = (fold) => fold.querySelector(":scope > .inside");

// A single call is its own line; more are folded.
const refresh = (fold) => {
  const runs = [...insideOf(fold).querySelectorAll(":scope > .run")];
  if (!runs.length) { fold.remove(); return; }
  const calls = runs.flatMap((run) => JSON.parse(run.dataset.calls));
  const folds = calls.length > 1;
  if (folds !== (fold.tagName === "DETAILS")) {
    const other = shell(folds);
    if (folds) other.open = true;
    insideOf(other).append(...runs);
    fold.replaceWith(other);
    fold = other;
  }
  if (folds) describe(fold, calls);
};

// The fold that a message ends with, which the steps after it go on.
const endingFold = (message) => {
  const last = message.querySelector(":scope > .body")?.lastElementChild;
  return last?.classList.contains("steps") ? last : null;
};

// Puts the units of one turn where they belong, moving only what stands elsewhere.
export const arrange = (section) => {
  const units = unitsOf(section).sort(compare);
  const before = new Set(section.querySelectorAll(".steps"));
  let open = null;
  let last = null;
  const put = (parent, after, node) => {
    const there = after ? after.nextElementSibling : parent.firstElementChild;
    if (there !== node) parent.insertBefore(node, there);
  };
  let lastRun = null;
  for (const unit of units) {
    if (!isRun(unit)) {
      put(section, last, unit);
      last = unit;
      open = unit.classList.contains("user") ? null : endingFold(unit);
      lastRun = open && [...insideOf(open).querySelectorAll(":scope > .run:not([data-order])")].at(-1);
      continue;
    }
    if (!open) {
      const own = unit.closest(".steps");
      const reusable = own && own.parentElement === section && insideOf(own).firstElementChild === unit;
      open = reusable ? own : shell(false);
      put(section, last, open);
      last = open;
      lastRun = null;
    }
    put(insideOf(open), lastRun, unit);
    lastRun = unit;
  }
  for (const fold of new Set([...before, ...section.querySelectorAll(".steps")])) if (fold.isConnected) refresh(fold);
};

const isFold = (node) => node.classList.contains("steps");
const partOf = (slot) => slot.dataset.part?.split(":")[0];

// A part that changed: what was open in it is open again.
const takeOver = (before, slot) => {
  const opened = [...before.querySelectorAll("details")].map((details) => details.open);
  [...slot.querySelectorAll("details")].forEach((details, index) => { if (opened[index]) details.open = true; });
  before.replaceWith(slot);
};

// Brings the children of an element to what they are in its new form. What did not change is not touched, so that what
// one selected, focused or opened in it stays; new and changed children are put between.
const bringUp = (old, fresh) => {
  let place = old.firstElementChild;
  for (const child of [...fresh.children]) {
    const same = [...old.children].find((each) => (child.dataset.part ? partOf(each) === partOf(child) : each.tagName === child.tagName && each.className === child.className && !each.dataset.part && !isFold(each)));
    if (isFold(child)) {
      // The fold that stands at this place goes on; it may have become one since.
      while (place && !isFold(place) && !place.dataset.part) place = place.nextElementSibling;
      if (place && isFold(place)) {
        const [run, freshRun] = [insideOf(place).querySelector(":scope > .run:not([data-order])"), insideOf(child).firstElementChild];
        if (run) { copyAttributes(run, freshRun); bringUp(run, freshRun); } else insideOf(place).prepend(freshRun);
        place = place.nextElementSibling;
        continue;
      }
      old.insertBefore(child, place);
      continue;
    }
    if (!same) { old.insertBefore(child, place); continue; }
    if (same !== place) old.insertBefore(same, place);
    place = same.nextElementSibling;
    if (child.dataset.part) {
      if (same.dataset.part !== child.dataset.part) takeOver(same, child);
    } else if (!same.isEqualNode(child)) same.replaceWith(child);
  }
  while (place) {
    const next = place.nextElementSibling;
    // Steps of later messages that went on under this one's last fold are none of its own.
    for (const guest of place.querySelectorAll(".run[data-order]")) old.closest("[data-order]").after(guest);
    place.remove();
    place = next;
  }
};

// Takes a unit's new form; answers the element that stands for it from now on.
export const replace = (old, fresh) => {
  if (isRun(old) !== isRun(fresh)) {
    const slots = new Map([...old.querySelectorAll("[data-part]")].map((slot) => [slot.dataset.part, slot]));
    for (const slot of fresh.querySelectorAll("[data-part]")) if (slots.has(slot.dataset.part)) slot.replaceWith(slots.get(slot.dataset.part));
    if (!isRun(old)) old.after(...old.querySelectorAll(".run[data-order]"));
    old.replaceWith(fresh);
    return fresh;
  }
  copyAttributes(old, fresh);
  if (isRun(old)) { bringUp(old, fresh); return old; }
  const [header, freshHeader] = [old, fresh].map((unit) => unit.querySelector(":scope > header"));
  // Times that pass are no change; focus on the message's link stays.
  const said = (element) => element.textContent.replace(element.querySelector("time")?.textContent ?? "", "").trim();
  if (said(header) !== said(freshHeader)) header.replaceWith(freshHeader);
  bringUp(old.querySelector(":scope > .body"), fresh.querySelector(":scope > .body"));
  return old;
};
