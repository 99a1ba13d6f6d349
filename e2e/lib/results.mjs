// Which cluster computed a result. Its prefix says so: PREFIX in k8s/ and k8s/burst/.

export const BURST_PREFIX = "bursty-";

export const clusterOf = (result) => (result.startsWith(BURST_PREFIX) ? "burst" : "primary");

/** How many of the newest results say where the traffic goes now. */
const NEWEST = 12;

/** Whether a list of results, the newest first, begins with a dozen from one cluster. */
export const areAllFrom = (cluster, newestFirst) =>
  newestFirst.length >= NEWEST && newestFirst.slice(0, NEWEST).every((result) => clusterOf(result) === cluster);
