/** What the server measures, over the time that this page is open. */

import { useEffect, useState } from "preact/hooks";
import { Chart } from "./chart";
import { bytes, count, ms, share } from "./format";
import { Jobs } from "./jobs";
import { between, type Histogram, histogram, quantile, read, type Sample } from "./prometheus";
import { useLoaded } from "./server";
import { Bar, Check, Problem, Select } from "./ui";

const EVERY_MS = 2_000;
const KEPT = 300; // readings: ten minutes
const CALLS = "vecstore_request_duration_seconds";
// Streams last as long as their clients listen, and this page's own calls are not what one wants to see.
const LASTING = /watch|ingest|Watch|Export|export/;
const OWN = new Set(["metrics", "list_operations", "info", "console", "console_file", "livez", "healthz", "readyz", "collection_stats", "list_collections"]);
const QUERIES = /quer|search|Quer|Search/;

interface Reading {
  at: number;
  rate: number;
  errors: number;
  p50: number | null;
  p99: number | null;
  open: number;
  recall: Record<string, number>;
}

/** Outside of the page, so that going to another one and back keeps the curves. */
const readings: Reading[] = [];
const last: { at: number; all?: Histogram; failed: number; which: string } = { at: 0, failed: 0, which: "" };

const total = (samples: Sample[], name: string): number =>
  samples.filter((one) => one.name === name).reduce((all, one) => all + one.value, 0);

export function MetricsPage() {
  const [own, setOwn] = useState(false);
  const [which, setWhich] = useState("all");
  const loaded = useLoaded(async (db) => ({ samples: read(await db.text("get", "/metrics")), at: Date.now() / 1000 }), [], EVERY_MS);
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!loaded.data) return;
    note(loaded.data.samples, loaded.data.at, own, which);
    redraw((one) => one + 1);
  }, [loaded.data, own, which]);
  const samples = loaded.data?.samples ?? [];
  const times = readings.map((one) => one.at);
  const fields = [...new Set(readings.flatMap((one) => Object.keys(one.recall)))].sort();
  const limits = new Map(samples.filter((one) => one.name === "vecstore_memory_limit_bytes").map((one) => [one.labels["use"] ?? "", one.value]));
  return (
    <>
      <div class="head">
        <h1>Metrics</h1>
        <span class="dim">every {EVERY_MS / 1000} s, while this page is shown</span>
        <span class="gap" />
        <Select label="Calls" value={which} options={[["all", "all"], ["queries", "queries only"]]} onValue={setWhich} />
        <Check label="This page's own" checked={own} onValue={setOwn} />
      </div>
      <Problem error={loaded.error} />
      {samples.length > 0 && (
        <>
          <dl class="facts">
            <div><dt>Memory</dt><dd>{bytes(total(samples, "process_resident_memory_bytes"))}</dd></div>
            <div><dt>CPU time</dt><dd>{ms(total(samples, "process_cpu_seconds_total") * 1000)}</dd></div>
            <div><dt>Open calls</dt><dd>{count(total(samples, "vecstore_requests_open"))}</dd></div>
            <div><dt>Points</dt><dd>{count(total(samples, "vecstore_collection_points"))}</dd></div>
            <div><dt>Disk free</dt><dd>{bytes(total(samples, "vecstore_disk_free_bytes"))}</dd></div>
            <div><dt>Running operations</dt><dd>{count(total(samples, "vecstore_operations_running"))}</dd></div>
            <div><dt>Failed operations</dt><dd>{count(total(samples, "vecstore_operations_failed"))}</dd></div>
          </dl>
          <div class="columns">
            <Chart title="Calls per second" names={["calls", "errors"]} format={(one) => one.toFixed(1)} data={[times, readings.map((one) => one.rate), readings.map((one) => one.errors)]} />
            <Chart title="Latency" names={["p50", "p99"]} format={ms} data={[times, readings.map((one) => one.p50), readings.map((one) => one.p99)]} />
            {fields.length > 0 ? (
              <Chart title="Recall of live queries" names={fields} format={share} range={[lowest(), 1]} data={[times, ...fields.map((field) => readings.map((one) => one.recall[field] ?? null))]} />
            ) : (
              <section class="card"><h2>Recall of live queries</h2><p class="dim">Not measured: <code>search.shadow_sample</code> has a share of queries answered again exactly, and none was yet.</p></section>
            )}
            <section class="card">
              <h2>Memory by use</h2>
              <table class="bars">
                <tbody>
                  {samples.filter((one) => one.name === "vecstore_memory_bytes").map((one) => {
                    const what = one.labels["use"] ?? "";
                    const most = limits.get(what);
                    return (
                      <tr key={what}>
                        <th scope="row">{what.replaceAll("_", " ")}</th>
                        <td class="bar">{most ? <Bar share={one.value / most} /> : null}</td>
                        <td class="n">{bytes(one.value)}{most ? <span class="dim"> of {bytes(most)}</span> : null}</td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </section>
          </div>
        </>
      )}
      <Jobs title="Operations" most={20} />
    </>
  );
}

const lowest = (): number => Math.max(0, Math.floor(Math.min(0.9, ...readings.flatMap((one) => Object.values(one.recall))) * 10) / 10);

/** What came since the last reading. The first one, and one of other calls than the last, has nothing to compare with. */
function note(samples: Sample[], at: number, own: boolean, which: string): void {
  const wanted = (labels: Record<string, string>): boolean => {
    const method = labels["method"] ?? "";
    return !LASTING.test(method) && (own || !OWN.has(method)) && (which === "all" || QUERIES.test(method));
  };
  const all = histogram(samples, CALLS, wanted);
  const failed = samples.filter((one) => one.name === `${CALLS}_count` && one.labels["code"] !== "OK" && wanted(one.labels)).reduce((sum, one) => sum + one.value, 0);
  const kind = `${own} ${which}`;
  if (last.which !== kind) readings.length = 0;
  else if (at > last.at) {
    const seconds = at - last.at;
    const came = between(last.all, all);
    const seen = Object.fromEntries(
      samples.filter((one) => one.name === "vecstore_shadow_recall").map((one) => [`${one.labels["collection"]} ${one.labels["field"] ?? ""}`.trim(), one.value]),
    );
    const time = (part: number) => { const found = quantile(came, part); return found === null ? null : found * 1000; };
    readings.push({ at, rate: came.count / seconds, errors: Math.max(0, failed - last.failed) / seconds, p50: time(0.5), p99: time(0.99), open: total(samples, "vecstore_requests_open"), recall: seen });
    if (readings.length > KEPT) readings.shift();
  }
  Object.assign(last, { at, all, failed, which: kind });
}
