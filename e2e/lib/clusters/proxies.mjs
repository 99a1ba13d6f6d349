// The counters of the lab's proxies.

const host = "worker-service.default.svc.cluster.local";
const envoyCluster = (subset) => `outbound|80|${subset}|${host}`;

/**
 * What the watcher needs with SOURCE=callers in the lab. Its proxies are upstream's Envoy, which lacks the filters that
 * count istio_requests_total. So the watcher reads Envoy's own counters, as the lab's Prometheus does: those by code,
 * because Envoy counts each request by the class of its code, too.
 */
export const LAB_PROXIES = [
  "CALLERS_URL=http://frontend-proxies:15090/stats/prometheus?usedonly&filter=worker-service.*upstream_rq",
  `CALLERS_SERIES=envoy_cluster_upstream_rq{cluster_name=~"outbound[|]80[|](primary|burst)[|]${host}",response_code!=""}`,
  "CLUSTER_LABEL=destination_cluster,cluster_name",
  `PRIMARY_CLUSTER=primary,${envoyCluster("primary")}`,
  `BURST_CLUSTER=burst,${envoyCluster("burst")}`,
];

const serviceCluster = (name) => `outbound|80||${name}.default.svc.cluster.local`;

/** The same for a route that leads to a Service of each cluster, worker-primary and worker-burst. */
export const LAB_SERVICES = [
  "CALLERS_URL=http://frontend-proxies:15090/stats/prometheus?usedonly&filter=worker-.*upstream_rq",
  'CALLERS_SERIES=envoy_cluster_upstream_rq{cluster_name=~"outbound[|]80[|][|]worker-(primary|burst)[.].*",response_code!=""}',
  "CLUSTER_LABEL=cluster_name",
  `PRIMARY_CLUSTER=${serviceCluster("worker-primary")}`,
  `BURST_CLUSTER=${serviceCluster("worker-burst")}`,
];
