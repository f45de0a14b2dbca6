/** The ES module: `start({ base, site })` returns the same surface, and touches no global. */

export { md5, sha256 } from "./hash";
export { leadTime } from "./lead_time";
export { start } from "./start";
export type * from "./surface";
