// The tables of the report: the rules, the frontier and the switches.

/* global make, count, seconds, wholeSeconds, share, money */
/* exported rulesTable, frontierTable, switchesTable */

const td = (text) => make("td", {}, text);
const columnHeader = ([name, isText]) => make("th", { scope: "col", ...(isText && { class: "start" }) }, name);

/** Returns a table that scrolls by itself where the screen is too narrow. */
function tableOf(id, caption, columns, ...bodies) {
  const head = make("thead", {}, make("tr", {}, ...columns.map(columnHeader)));
  const table = make("table", {}, make("caption", { id }, caption), head, ...bodies);
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": id }, table);
}

/** The rules, in groups by signal and arrivals. */
function rulesTable(data) {
  const isPriced = data.price_per_million !== null;
  const cells = (rule) => [
    wholeSeconds(rule.late_seconds), seconds(rule.longest_wait_seconds), count(rule.to_burst), share(rule.burst_share),
    count(rule.needed), count(rule.writes), count(rule.reversals), ...(isPriced ? [rule.cost === null ? "–" : money(rule.cost)] : []),
  ];
  const columns = [["rule", true], ...["late", "longest", "to burst", "share", "needed", "writes", "reversals", ...(isPriced ? ["cost"] : [])].map((name) => [name])];
  const groups = Map.groupBy(data.rules, ({ signal, arrivals }) => `Signal ${signal}, ${arrivals} arrivals`);
  const bodies = [...groups].map(([name, rules]) => {
    const isShown = rules[0].signal === data.signal && rules[0].arrivals === data.arrivals;
    const title = isShown && groups.size > 1 ? `${name} (the charts above)` : name;
    const rows = rules.map((rule) => {
      const isSet = rule.rule === "policy as set";
      const header = make("th", { scope: "row", class: "start" }, isSet ? `▸ ${rule.rule}` : rule.rule);
      return make("tr", isSet ? { class: "as-set" } : {}, header, ...cells(rule).map(td));
    });
    return make("tbody", {}, make("tr", {}, make("th", { scope: "rowgroup", colspan: columns.length }, title)), ...rows);
  });
  const price = isPriced ? `, at ${data.price_per_million} for a million requests to burst` : "";
  return tableOf("rules-caption", `What each rule would have done${price}`, columns, ...bodies);
}

/** The points of the frontier, and the setting in force if it is not one of them. */
function frontierTable(sweep) {
  const isPriced = sweep.points.some(({ cost }) => cost !== null && cost !== undefined);
  const range = (value, low, high, write) => (low < high ? `${write(value)} (${write(low)} to ${write(high)})` : write(value));
  const row = (point) => {
    const index = sweep.points.indexOf(point);
    const names = [...(index === sweep.knee ? ["knee"] : []), ...(index === sweep.as_set ? ["as set"] : []), ...(point.is_on_frontier ? [] : ["not on the frontier"])];
    const values = [
      range(point.late_seconds, point.late_low, point.late_high, wholeSeconds), seconds(point.longest_wait_seconds),
      range(point.burst_share, point.share_low, point.share_high, share), count(point.writes),
      ...(isPriced ? [money(point.cost)] : []),
    ];
    const headers = point.values.map((value) => make("th", { scope: "row" }, String(value)));
    return make("tr", names.length > 0 ? { class: "as-set" } : {}, ...headers, ...values.map(td), make("td", { class: "start" }, names.join(", ")));
  };
  const shown = sweep.points.filter((point, index) => point.is_on_frontier || index === sweep.as_set);
  shown.sort((one, other) => one.burst_share - other.burst_share);
  const columns = [...sweep.parameters, "late", "longest", "share", "writes", ...(isPriced ? ["cost"] : [])].map((name) => [name]);
  return tableOf("frontier-caption", "The settings of the frontier", [...columns, ["note", true]], make("tbody", {}, ...shown.map(row)));
}

/** The switches, in order of time. */
function switchesTable(list, clock) {
  const rows = list.map(({ second, from, to, reason, text }) =>
    make("tr", {}, make("th", { scope: "row", class: "start" }, clock.node(second)), td(from), td(to), make("td", { class: "start reason" }, text || reason)));
  const columns = [[clock.name, true], ["from"], ["to"], ["reason", true]];
  return tableOf("switches-caption", "Each change of the weights, in percent to primary/to burst", columns, make("tbody", {}, ...rows));
}
