/** Files dropped on the page: points from JSON lines and CSV, documents from texts, Markdown, HTML and PDF. */

import { useRef, useState } from "preact/hooks";
import { bytes, count } from "./format";
import { type Collection, takesText } from "./schema";
import { type Job, kindOfFile, sendDocument, sendPoints } from "./sending";
import { Progress, State } from "./ui";

export function ImportPage({ collection, onDone }: { collection: Collection; onDone: () => void }) {
  const [jobs, setJobs] = useState<Job[]>([]);
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState("");
  const stop = useRef<AbortController | null>(null);
  const queue = useRef<Promise<void>>(Promise.resolve());
  const known = useRef(0);
  const documents = Object.values(collection.schema.vectors).some(takesText);

  const one = async (place: number, file: File) => {
    const tell = (change: Partial<Job>) => setJobs((before) => before.map((job, at) => (at === place ? { ...job, ...change } : job)));
    stop.current ??= new AbortController();
    const signal = stop.current.signal;
    if (signal.aborted) return tell({ state: "stopped" });
    tell({ state: "running" });
    try {
      await (kindOfFile(file.name) === "document" ? sendDocument : sendPoints)(file, collection, tell, signal);
      tell({ state: "done" });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      tell(signal.aborted ? { state: "stopped" } : { state: "failed", note: message });
    }
  };
  const take = (files: File[]) => {
    const good = files.filter((file) => kindOfFile(file.name) === "points" || (documents && kindOfFile(file.name) === "document"));
    const bad = files.filter((file) => !good.includes(file)).map((file) => file.name);
    setRefused(bad.length ? `Not taken: ${bad.slice(0, 5).join(", ")}${bad.length > 5 ? ` and ${bad.length - 5} more` : ""}` : "");
    if (!good.length) return;
    const from = known.current;
    known.current += good.length;
    setJobs((before) => [
      ...before,
      ...good.map((file): Job => ({ file: file.name, kind: kindOfFile(file.name) ?? "points", bytes: file.size, sent: 0, points: 0, faults: [], state: "waiting", note: "" })),
    ]);
    if (stop.current?.signal.aborted) stop.current = null;
    for (const [place, file] of good.entries()) queue.current = queue.current.then(() => one(from + place, file));
    void queue.current.then(onDone);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take([...(event.dataTransfer?.files ?? [])]);
  };
  const busy = jobs.some((job) => job.state === "running" || job.state === "waiting");
  return (
    <>
      <label class={`card drop ${over ? "over" : ""}`} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => setOver(false)} onDrop={drop}>
        <b>Drop files here, or choose some</b>
        <span>Points: <code>.jsonl</code> <code>.ndjson</code> <code>.csv</code></span>
        <span class={documents ? "" : "dim"}>
          {documents ? <>Documents: <code>.md</code> <code>.txt</code> <code>.html</code> <code>.pdf</code></> : "Documents need a text field, or a field with an embedder."}
        </span>
        <input type="file" multiple onChange={(event) => { take([...(event.currentTarget.files ?? [])]); event.currentTarget.value = ""; }} />
      </label>
      {refused && <div class="problem" role="alert">{refused}</div>}
      {jobs.length > 0 && (
        <section class="card scroll">
          <div class="row"><h2>Files</h2><span class="gap" />{busy && <button type="button" onClick={() => stop.current?.abort()}>Stop</button>}</div>
          <table>
            <thead><tr><th>File</th><th>State</th><th>Progress</th><th class="n">Bytes</th><th class="n">Written</th><th class="n">Errors</th></tr></thead>
            <tbody>
              {jobs.map((job, place) => (
                <tr key={place}>
                  <td>{job.file}</td>
                  <td><State state={job.state} /></td>
                  <td><Progress done={job.sent} total={job.state === "running" && job.kind === "document" && !job.sent ? 0 : job.bytes} label={job.file} /> {job.note}</td>
                  <td class="n">{bytes(job.bytes)}</td>
                  <td class="n">{count(job.points)} {job.kind === "document" ? "chunks" : "points"}</td>
                  <td class="n">{job.faults.length > 0 ? <b class="bad">{count(job.faults.length)}</b> : 0}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {jobs.map((job, place) => job.faults.length > 0 && (
        <section class="card scroll" key={place}>
          <h2>Errors in {job.file}</h2>
          <table>
            <thead><tr><th class="n">Line</th><th>What is wrong</th></tr></thead>
            <tbody>{job.faults.map((one, at) => <tr key={at}><td class="n">{one.line}</td><td>{one.message}</td></tr>)}</tbody>
          </table>
        </section>
      ))}
      <details class="card">
        <summary>What files look like</summary>
        <p>One JSON object a line, with <code>id</code>, <code>vectors</code> by field and <code>payload</code>:</p>
        <pre>{example(collection)}</pre>
        <p>
          Without <code>vectors</code> and <code>payload</code>, keys with the name of a vector field are vectors and all others are
          payload. In CSV the first line names the columns in that same way; vectors are JSON in a cell.
        </p>
      </details>
    </>
  );
}

function example(collection: Collection): string {
  const parts = Object.entries(collection.schema.vectors).slice(0, 3).map(([name, field]) => {
    const value = takesText(field) ? '"a text"' : field.kind === "sparse" ? '{"indices": [3], "values": [0.5]}' : field.kind === "multi" ? "[[0.1, …], …]" : field.kind === "binary" ? '{"data": "<base64>", "dtype": "bit"}' : "[0.1, 0.2, …]";
    return `"${name}": ${value}`;
  });
  return `{"id": 1, "vectors": {${parts.join(", ")}}, "payload": {"lang": "en"}}`;
}
