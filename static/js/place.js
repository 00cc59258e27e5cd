// How far down the page what one reads begins: under the header, and under what was found.
export const line = () => parseFloat(getComputedStyle(document.querySelector("#view")).scrollMarginTop) || 0;

// Going to something on the page: it comes into view, and keyboard and screen reader go on from there.
export const standAt = (target) => {
  target.scrollIntoView();
  if (target.tabIndex < 0) target.tabIndex = -1;
  target.focus({ preventScroll: true });
};
