/** Keeps an identification that says nothing new from being sent again within a day. */

import { md5 } from "./hash";
import { load, save } from "./storage";
import type { Fields } from "./surface";

const DAY_MS = 86_400_000;
const LAST = "i";

/**
 * True when `user/identify` carries what the last identification of this uid carried, less than 24 hours ago. Of
 * `identify_time` and `identity_token`, which always differ, only counts whether they are there. Any other `user/…` event
 * in between, such as a sign-out, makes the next identify news again.
 */
export const isRepeated = (uid: string, action: string, fields: Fields, at: number): boolean => {
  const said = JSON.stringify(fields, (key, value) => /denti.y_t[io]/.exec(key) || value);
  const mark = action == "identify" && md5(uid + said);
  const [last, when] = load(LAST).split(" ");
  if (mark && mark == last && Math.abs(at - +when!) < DAY_MS) return true;
  save(LAST, `${mark} ${at}`);
  return false;
};
