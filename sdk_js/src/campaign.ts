/** The campaign a page was opened by: utm parameters and the click ids of advertisers. */

const CAMPAIGN = /^(utm_\w+|\w*clk?id|[gw]braid)$/;

/** The campaign parameters of a URL, or undefined when it has none. */
export const campaignOf = (url: string): Record<string, string> | undefined => {
  const found = [...new URL(url).searchParams].filter(([name, value]) => CAMPAIGN.test(name) && value);
  return found[0] && Object.fromEntries(found);
};
