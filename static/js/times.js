// Times that are said relative to now go on being so, by the server's rule (templatetags/transcript.py); its clock counts.
const skew = Date.now() - 1000 * Number(document.documentElement.dataset.now);

const ago = (at) => {
  const seconds = (Date.now() - skew - at) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
};

setInterval(() => {
  if (document.visibilityState !== "visible") return;
  for (const time of document.querySelectorAll("time[datetime]")) {
    // What is older than a week is a date, and stays.
    if (!/ ago$|^just now$/.test(time.textContent)) continue;
    const said = ago(Date.parse(time.dateTime));
    if (time.textContent !== said) time.textContent = said;
  }
}, 20_000);
