// The owner's end of the conversation. Enter sends and Shift+Enter breaks the line; images are attached by the button
// or pasted; Stop, decisions about tool calls, model, mode and extensions act in place. What comes of all that arrives
// over the page's socket, in #agent-state and in the conversation. Without JavaScript the same are plain forms.
import { keepImages } from "./images.js";

const root = document.querySelector("#composer");
const form = root.querySelector("form.composer");
const setUp = root.querySelector("form.set-up");
const problem = root.querySelector("[data-problem]");
const state = () => document.querySelector("#agent-state");
const ACTIVE = new Set(["queued", "running", "waiting"]);
const TROUBLE = "That did not work. Check the connection and try again.";

const token = () => document.cookie.match(/(?:^|;\s*)gander_csrf=([^;]+)/)?.[1] ?? document.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
const complain = (message) => {
  if (!problem) return;
  problem.textContent = message;
  problem.hidden = !message;
};

// The answer, or nothing where there is none that says yes; then the page has said why.
const ask = async (method, address, body) => {
  complain("");
  const response = await fetch(address, {
    method,
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token() },
    body: JSON.stringify(body),
  }).catch(() => null);
  const answer = await response?.json().catch(() => null);
  if (response?.ok) return answer ?? {};
  complain(answer?.error?.message ?? TROUBLE);
  return null;
};

// A name for what is sent, so that sending it again makes no second turn. Plain HTTP has no crypto.randomUUID.
const uuid = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

// Forms that were pushed bear no token of their own.
document.addEventListener("submit", (event) => {
  const field = event.target.querySelector("[name=csrfmiddlewaretoken]");
  if (field && !field.value) field.value = token();
  else if (!field && event.target.method === "post") {
    const made = document.createElement("input");
    Object.assign(made, { type: "hidden", name: "csrfmiddlewaretoken", value: token() });
    event.target.append(made);
  }
}, true);

// Stop, and the decisions about calls that wait.
root.addEventListener("submit", async (event) => {
  const act = event.target.closest("#agent-state form[data-api]");
  if (!act) return;
  event.preventDefault();
  // Not disabled meanwhile: that would take the focus away.
  if ("asking" in act.dataset) return;
  act.dataset.asking = "";
  const pressed = event.submitter;
  if (!await ask("POST", act.dataset.api, pressed?.value ? { action: pressed.value } : {})) delete act.dataset.asking;
});

if (form) {
  const text = form.querySelector("textarea");
  const button = form.querySelector("[data-send]");
  const images = keepImages(form, complain);
  let sending = false;
  // How the state stood when a message was taken: until it changes, the turn has begun and is not yet seen.
  let taken = null;
  // What could not be sent keeps its name for as long as it is the same.
  let last = { said: "", name: "" };

  // What was typed outlives a reload, and so does the name under which it was sent: the answer alone may have been lost.
  const draft = `draft ${root.dataset.api}`;
  const keep = () => {
    try {
      if (text.value) sessionStorage.setItem(draft, JSON.stringify({ text: text.value, last }));
      else sessionStorage.removeItem(draft);
    } catch { /* storage is full, or switched off */ }
  };
  try {
    const kept = JSON.parse(sessionStorage.getItem(draft));
    if (kept && !text.value) {
      text.value = kept.text;
      last = kept.last;
    }
  } catch { /* switched off */ }

  const busy = () => sending || state().dataset.active === "true" || taken === state().dataset.key;
  const show = () => {
    button.disabled = busy();
    button.querySelector("[data-label]").textContent = sending ? "Sending …" : "Send";
  };
  const send = async () => {
    const said = text.value;
    if (busy() || (!said.trim() && !images.count())) return;
    sending = true;
    show();
    const before = state().dataset.key;
    const blocks = await images.blocks().catch(() => null);
    if (!blocks) {
      sending = false;
      show();
      complain("An image could not be read. Remove it and attach it again.");
      return;
    }
    const content = blocks.length ? [...(said.trim() ? [{ type: "text", text: said }] : []), ...blocks] : said;
    const same = JSON.stringify(content);
    if (last.said !== same) last = { said: same, name: uuid() };
    keep();
    const turn = await ask("POST", `${root.dataset.api}/messages`, { content, request_id: last.name });
    sending = false;
    if (turn) {
      last = { said: "", name: "" };
      if (text.value === said) text.value = "";
      keep();
      images.clear();
      // One that was sent again may have ended long ago.
      if (ACTIVE.has(turn.state) && state().dataset.key === before) taken = before;
      text.placeholder = "What next?";
      // What comes is followed from the end on.
      scrollTo({ top: document.documentElement.scrollHeight });
    }
    show();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    text.focus();
    send();
  });
  text.addEventListener("keydown", (event) => {
    // While an input method composes, Enter is its own (229 is how Safari says so).
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  });
  text.addEventListener("input", () => {
    complain("");
    keep();
  });

  document.addEventListener("gander:replaced", ({ detail: { old, now, focused } }) => {
    if (now.id !== "agent-state") return;
    show();
    // Who has just pressed a button that is gone, or can do nothing any more, goes on at the next one, or at the text.
    if (focused) (now.querySelector("button:not(:disabled)") ?? text).focus({ preventScroll: true });
    const known = new Set([...old.querySelectorAll("[data-call]")].map((card) => card.dataset.call));
    for (const card of now.querySelectorAll("[data-call]")) {
      if (known.has(card.dataset.call)) continue;
      const line = document.createElement("p");
      line.textContent = `The agent waits for you: ${card.querySelector("h2").textContent.trim()}`;
      document.querySelector("#announcer")?.append(line);
    }
  });
  addEventListener("pageshow", show);
  show();
}

// Model, mode and extensions are saved as they are picked.
if (setUp) {
  const boxes = [...setUp.querySelectorAll("[name=extensions]:not(:disabled)")];
  const countOn = () => {
    const on = boxes.filter((box) => box.checked).map((box) => box.value);
    setUp.querySelector("[data-count]").textContent = on.length;
    setUp.querySelector("[data-plural]").hidden = on.length === 1;
    return on;
  };
  setUp.addEventListener("change", async (event) => {
    const { target } = event;
    if (target.name === "extensions") {
      const on = countOn();
      // All that are on are no choice of single ones: what is switched on later is on here too.
      if (!await ask("PATCH", `${root.dataset.api}/agent`, { extensions: on.length === boxes.length ? null : on })) {
        target.checked = !target.checked;
        countOn();
      }
      return;
    }
    const saved = [...target.options].find((option) => option.defaultSelected) ?? target.options[0];
    if (await ask("PATCH", `${root.dataset.api}/agent`, { [target.name]: target.value })) {
      for (const option of target.options) option.defaultSelected = option.selected;
    } else target.value = saved.value;
  });
  setUp.addEventListener("submit", (event) => event.preventDefault());
}
