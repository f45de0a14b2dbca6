/** Active time: how long the visitor has had this document before them, visible and focused. */

let total = 0; // ms, up to the last look
let since = 0; // when the document was active at the last look: that time, by a clock that does not jump

/**
 * Whole ms of active time so far. To be called whenever the document is hidden or shown, and its window gains or loses
 * the focus: what counts is how things stood since the last call.
 */
export const activeMs = (): number => {
  const now = performance.now();
  total += now - (since || now);
  since = document.hasFocus() && !document.hidden ? now : 0;
  return total | 0;
};
