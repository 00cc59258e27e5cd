// The session page: keeps what one reads in place while earlier messages load above, marks the current prompt in the
// outline, follows outline links without a reload where the prompt is loaded, and copies links and text.
import { copyText, say } from "./clipboard.js";
import { line, standAt } from "./place.js";

const inView = () => {
  const top = line() + 10;
  const log = document.querySelector("#messages")?.getBoundingClientRect();
  // Asked at every step of scrolling: the point tells at once, if nothing lies over it, and is the same for any length.
  const there = log && document.elementFromPoint(log.left + log.width / 2, top)?.closest(".turn[data-turn]");
  return there ?? [...document.querySelectorAll(".turn[data-turn]")].find((turn) => turn.getBoundingClientRect().bottom > top);
};

// Loading above: the turn one sees stays where it is.
let kept = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target?.dataset?.window !== "before") return;
  const turn = inView();
  kept = turn && { turn, top: turn.getBoundingClientRect().top };
});
document.addEventListener("htmx:afterSettle", () => {
  if (kept) scrollBy(0, kept.turn.getBoundingClientRect().top - kept.top);
  kept = null;
  markSoon();
});

// A link to something in a fold opens the fold; what is loaded late is found again. Words that were looked for are
// marked, and what holds them is opened and loaded.
const marked = (target, words) => {
  // One text of all of them: words may be bold in part, or coloured, and a line's end reads as a space.
  const nodes = [];
  let text = "";
  const texts = document.createTreeWalker(target, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    nodes.push({ node: texts.currentNode, at: text.length });
    text += texts.currentNode.textContent;
  }
  const pattern = words.split(/\s+/).map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("\\s+");
  const ranges = [];
  let index = 0;
  for (const match of text.matchAll(new RegExp(pattern, "gi"))) {
    const end = match.index + match[0].length;
    const range = new Range();
    while (nodes[index + 1]?.at <= match.index) index += 1;
    range.setStart(nodes[index].node, match.index - nodes[index].at);
    while (nodes[index + 1]?.at < end) index += 1;
    range.setEnd(nodes[index].node, end - nodes[index].at);
    ranges.push(range);
  }
  globalThis.CSS?.highlights?.set("found", new Highlight(...ranges));
  return ranges;
};
const openFolds = (element) => {
  for (let fold = element.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
};
let awaited = null;
// Brings the first of the words into view; of long output only the head is on the page until it is asked for.
const showWords = (target, words) => {
  const [first] = marked(target, words);
  if (first) {
    const place = first.startContainer.parentElement;
    openFolds(place);
    place.scrollIntoView({ block: "center" });
    return;
  }
  const more = target.matches(".slot, .part, .message, .run") && target.querySelector("a.more[hx-get*='/parts/']");
  if (more && awaited === null) {
    awaited = { id: target.id, words, more };
    more.click();
  }
};
document.addEventListener("htmx:afterSettle", () => {
  // Something else may have arrived first.
  if (!awaited || awaited.more.isConnected) return;
  const { id, words } = awaited;
  awaited = null;
  const target = document.getElementById(id);
  if (target) showWords(target, words);
});
const reveal = () => {
  const id = decodeURIComponent(location.hash.slice(1));
  if (!id) return;
  // A part that was there when words were found may be gone; its message is not.
  const at = new URLSearchParams(location.search).get("at");
  const target = document.getElementById(id) ?? (id.startsWith("slot-") && at && document.getElementById(at));
  if (!target) {
    // Not loaded: the server knows the window in which it stands.
    const there = `?at=${encodeURIComponent(id)}`;
    if (document.querySelector("#messages") && !location.search.startsWith(there)) location.replace(`${location.pathname}${there}${location.hash}`);
    return;
  }
  openFolds(target);
  target.scrollIntoView();
  const words = new URLSearchParams(location.search).get("q")?.trim();
  if (words) showWords(target, words);
};
addEventListener("hashchange", reveal);
addEventListener("load", reveal);

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-prompt], [data-goes-to]");
  if (!link) return;
  link.closest("dialog")?.close();
  const target = document.getElementById(link.dataset.prompt ?? link.dataset.goesTo);
  if (!target) return;
  event.preventDefault();
  history.replaceState(null, "", link.getAttribute("href"));
  reveal();
  // Who goes on by keyboard goes on there.
  if (link.dataset.prompt) standAt(target);
});

// The outline's current entry, beside the conversation and in the phone's sheet.
let waiting = false;
const centre = (box) => {
  const link = box.querySelector("[aria-current]");
  if (link) box.scrollTop += link.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 3;
};
const markIn = (box, turn) => {
  const before = box.querySelector("[aria-current]");
  if (before?.dataset.prompt === turn.dataset.turn) return;
  const now = box.querySelector(`[data-prompt="${CSS.escape(turn.dataset.turn)}"]`);
  before?.removeAttribute("aria-current");
  now?.setAttribute("aria-current", "true");
  // Only the outline itself is moved, and not under the hand of who scrolls it.
  if (now && !box.matches(":hover:not(dialog)")) centre(box);
  if (now || !box.checkVisibility()) return;
  // It begins with prompts around where one came in; those before and after are had as one scrolls.
  const order = turn.querySelector("[data-order]")?.dataset.order;
  const orders = [...box.querySelectorAll("[data-prompt-order]")].map((prompt) => prompt.dataset.promptOrder);
  const further = order < orders[0] ? "[data-earlier]" : order > orders.at(-1) ? "[data-more]" : null;
  if (further) box.querySelector(`${further} a:not(.htmx-request)`)?.click();
};
// Found once: to look for them through a long session takes longer than all the rest.
const boxes = [...document.querySelectorAll(".outline, #outline-sheet")];
const mark = () => {
  waiting = false;
  const turn = inView();
  if (turn) for (const box of boxes) markIn(box, turn);
};
const markSoon = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(mark);
};
// A sheet that was closed when one went on is brought there as it opens.
document.addEventListener("click", (event) => {
  const sheet = event.target.closest("[data-opens='#outline-sheet']") && document.querySelector("#outline-sheet");
  if (!sheet) return;
  mark();
  centre(sheet);
});
addEventListener("scroll", markSoon, { passive: true });

// Copying.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-link], [data-copy-page], [data-copy-text]");
  if (!button) return;
  if (button.hasAttribute("data-copy-link")) {
    // The link is the page's own from here on; following it would load the page again.
    event.preventDefault();
    history.replaceState(null, "", button.getAttribute("href"));
  }
  try {
    if (button.dataset.copyText) {
      // The promise is handed over at once: Safari wants the write to begin within the click.
      const text = fetch(button.dataset.copyText).then((response) => {
        if (!response.ok) throw new Error(String(response.status));
        return response.blob();
      }).then((blob) => new Blob([blob], { type: "text/plain" }));
      if (!navigator.clipboard) await copyText(await (await text).text());
      else await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    } else {
      const shared = document.querySelector("[data-share]");
      // While it is shared, what is copied is good for others, too.
      const link = new URL(shared?.dataset.shared === "true" ? shared.dataset.url : location.pathname, location.origin);
      if (button.hasAttribute("data-copy-link")) ({ search: link.search, hash: link.hash } = new URL(button.href));
      await copyText(link.href);
    }
    say(button, "Copied");
  } catch {
    say(button, "Could not copy");
  }
});

// Code blocks get a button that copies them.
const dress = (root) => {
  const own = root.matches?.(".code") ? [root] : [];
  for (const block of [...own, ...root.querySelectorAll(".code")]) {
    if (block.querySelector(".copy-code")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-code";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await copyText(block.querySelector("code").textContent);
        say(button, "Copied");
      } catch {
        say(button, "Could not copy");
      }
    });
    block.append(button);
  }
};
dress(document);
document.addEventListener("gander:added", (event) => { dress(event.detail); markSoon(); });
document.addEventListener("htmx:load", (event) => dress(event.detail.elt));

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-found]")) document.querySelector(".found")?.remove();
});
