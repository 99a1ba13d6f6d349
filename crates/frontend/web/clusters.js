// The rule which cluster has published a result: primary's workers have no prefix, burst's have one.

// Stands for prefixes that are not counted apart, and for messages that no worker published.
const OTHER = "other";
// A SHA-256 digest in base64, after a prefix.
const PREFIXED_HASH = /^[!-~]+[A-Za-z0-9+/]{43}=$/;

/** The cluster whose workers have this prefix; undefined if it is unknown. */
export function clusterOf(prefix) {
  if (prefix === OTHER) return undefined;
  return prefix === "" ? "primary" : "burst";
}

/** The number of results by cluster. */
export function resultsByCluster(results) {
  const clusters = { primary: 0, burst: 0 };
  for (const [prefix, count] of Object.entries(results.by_prefix)) {
    const cluster = clusterOf(prefix);
    if (cluster) clusters[cluster] += count;
  }
  return clusters;
}

/** Whether a worker of burst has published this message. */
export const isFromBurst = (message) => PREFIXED_HASH.test(message);
