// A socket that comes back by itself: exponential backoff with jitter, at once when the tab or the network comes back,
// and a question now and then whether the other end is still there. It tells its state truthfully.
const CLOSED_FOR_GOOD = new Set([4404, 4401]);
const ASK_EVERY = 30_000;
const ANSWER_WITHIN = 8_000;
// After a sleep the connection is often gone and does not say so.
const ANSWER_AT_RETURN = 2_000;
// The first answer holds what was missed, which over a slow line takes its time; that the other end is there is known.
const ALL_WITHIN = 60_000;
const CONFIRM_EVERY = 16_000;

export const keepOpen = (path, { hello, take, state, ended }) => {
  let socket = null;
  let attempt = 0;
  let timer = 0;
  let question = 0;
  let unconfirmed = 0;
  let over = false;

  const send = (message) => { if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message)); };
  const ask = (message, within = ANSWER_WITHIN) => {
    if (socket?.readyState !== WebSocket.OPEN || question) return;
    send(message);
    question = setTimeout(() => { question = 0; socket?.close(); lost(socket); }, within);
  };
  const askAtReturn = () => {
    answered();
    attempt = -1;
    ask({ ping: true }, ANSWER_AT_RETURN);
  };
  const answered = () => { clearTimeout(question); question = 0; };
  const lost = (which) => {
    if (which !== socket || over) return;
    socket = null;
    answered();
    state("reconnecting");
    clearTimeout(timer);
    timer = setTimeout(open, attempt < 0 ? 0 : Math.min(30_000, 500 * 2 ** attempt) * (0.5 + Math.random()));
    attempt += 1;
  };
  const open = () => {
    clearTimeout(timer);
    if (socket || over) return;
    const opened = socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${path}`);
    // One that hangs, as after a sleep, is given up.
    setTimeout(() => { if (opened.readyState === WebSocket.CONNECTING) { opened.close(); lost(opened); } }, ANSWER_WITHIN);
    opened.addEventListener("open", () => { unconfirmed = 0; ask(hello(), ALL_WITHIN); });
    opened.addEventListener("message", (event) => {
      if (opened !== socket) return;
      answered();
      attempt = 0;
      state("live");
      const frame = JSON.parse(event.data);
      if (frame.type === "pong") return;
      take(frame);
      unconfirmed += event.data.length;
      if (unconfirmed > CONFIRM_EVERY) { unconfirmed = 0; send({ ack: frame.revision ?? 0 }); }
    });
    opened.addEventListener("close", (event) => {
      if (opened !== socket) return;
      if (CLOSED_FOR_GOOD.has(event.code)) { over = true; answered(); state("ended"); ended(event.code); return; }
      // A server that restarts says so; another may be there already.
      if (event.code === 1012) attempt = 0;
      lost(opened);
    });
  };
  const now = () => { if (document.visibilityState === "visible") { if (socket) askAtReturn(); else { attempt = 0; open(); } } };
  document.addEventListener("visibilitychange", now);
  addEventListener("online", now);
  addEventListener("offline", () => { socket?.close(); lost(socket); });
  addEventListener("pageshow", (event) => { if (event.persisted) now(); });
  setInterval(() => ask({ ping: true }), ASK_EVERY);
  open();
  return { send };
};

// The dot and its word.
export const showState = (name) => {
  for (const place of document.querySelectorAll("[data-connection]")) {
    if (place.dataset.connection === name) continue;
    place.dataset.connection = name;
    place.querySelector("[data-label]").textContent = { live: "live", reconnecting: "reconnecting …", ended: "ended" }[name];
  }
};
