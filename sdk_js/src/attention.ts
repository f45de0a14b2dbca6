/** Active time: how long the visitor has had this document before them, visible and focused. */

let total = 0; // ms, up to the last look
let since = 0; // when that was, by a clock that does not jump
let active = false;

/**
 * Whole ms of active time so far. To be called whenever the document is hidden or shown, and with `focus` when the
 * window gains or loses it: what counts is how things stood since the last call.
 */
export const activeMs = (): number => {
  const now = performance.now();
  if (active) total += now - since;
  since = now;
  active = document.hasFocus() && !document.hidden;
  return total | 0;
};
