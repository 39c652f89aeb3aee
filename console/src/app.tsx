/** The frame: where one is, the key, and the page. */

import { useEffect, useState } from "preact/hooks";
import { CollectionPage } from "./collection";
import { Collections } from "./collections";
import { count } from "./format";
import { KeyDialog } from "./key";
import { MetricsPage } from "./metrics";
import { hasKey, useLoaded, useLocked } from "./server";

/** The part of the address after #, in segments. */
export function useRoute(): string[] {
  const read = () => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

interface Info {
  version: string;
  collections: number;
  kernels: { backend: string; isa: string; threads: number };
  key: { name: string; role: string };
}

export function App() {
  const route = useRoute();
  const locked = useLocked();
  const [keyShown, setKeyShown] = useState(false);
  const info = useLoaded((db) => db.get("/v1/info"), [locked, hasKey()], 30_000);
  const facts = info.data?.info as Info | undefined;
  const [page, name, tab] = route;
  useEffect(() => {
    document.title = [name, page === "metrics" ? "metrics" : tab, "vecstore"].filter(Boolean).join(" · ");
  }, [page, name, tab]);
  return (
    <>
      <header class="top">
        <a class="brand" href="#/">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <circle cx="8" cy="9" r="3.4" />
            <circle cx="24" cy="8" r="3.4" />
            <circle cx="16" cy="24" r="4.4" />
            <path d="M8 9l8 15 8-16" />
          </svg>
          vecstore
        </a>
        <nav aria-label="Pages">
          <a href="#/" aria-current={page !== "metrics" ? "page" : undefined}>Collections</a>
          <a href="#/metrics" aria-current={page === "metrics" ? "page" : undefined}>Metrics</a>
          <a href="/docs">API</a>
        </nav>
        <span class="facts">
          {facts && (
            <>
              <span title={`${facts.kernels.backend} kernels, ${facts.kernels.isa}, ${facts.kernels.threads} threads`}>
                {facts.version} · {facts.kernels.isa}
              </span>
              <span>{count(facts.collections)} {facts.collections === 1 ? "collection" : "collections"}</span>
              <span>as {facts.key.name} ({facts.key.role})</span>
            </>
          )}
          {!facts && !!info.error && !locked && <span class="bad">no connection</span>}
        </span>
        <button type="button" onClick={() => setKeyShown(true)}>{hasKey() ? "API key set" : "API key"}</button>
      </header>
      <main>
        {locked ? (
          <KeyDialog asked onClose={() => setKeyShown(false)} />
        ) : page === "metrics" ? (
          <MetricsPage />
        ) : page === "c" && name ? (
          <CollectionPage key={name} name={name} tab={tab ?? "overview"} />
        ) : (
          <Collections />
        )}
        {keyShown && !locked && <KeyDialog onClose={() => setKeyShown(false)} />}
      </main>
    </>
  );
}
