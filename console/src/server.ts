/** The server this page came from: one client, the key for it, and what it said when it refused one. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Vecstore, VecstoreError } from "vecstore-client";

const KEPT = "vecstore-key"; // in sessionStorage: gone with the tab, and never sent to another place
const TIMEOUT_MS = 60_000;

let client = new Vecstore("", { apiKey: sessionStorage.getItem(KEPT) ?? "", timeoutMs: TIMEOUT_MS });
let locked = false;
const listeners = new Set<() => void>();

export function hasKey(): boolean {
  return sessionStorage.getItem(KEPT) !== null;
}

export function setKey(key: string): void {
  if (key) sessionStorage.setItem(KEPT, key);
  else sessionStorage.removeItem(KEPT);
  client = new Vecstore("", { apiKey: key, timeoutMs: TIMEOUT_MS });
  tell(false);
}

function tell(now: boolean): void {
  locked = now;
  for (const listener of listeners) listener();
}

/** Whether the last word of the server was that it wants a key, or another one; changes with each new key, too. */
export function useLocked(): boolean {
  const [, redraw] = useState({});
  useEffect(() => {
    const listener = () => redraw({});
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return locked;
}

/** Run calls of the server; a 401 among them locks the page until a key is given. */
export async function ask<T>(calls: (db: Vecstore) => Promise<T>): Promise<T> {
  const asked = client;
  try {
    return await calls(asked);
  } catch (error) {
    if (error instanceof VecstoreError && error.status === 401 && asked === client) tell(true);
    throw error;
  }
}

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
}

/** What `load` gives, again when `on` changes and every `everyMs` while the page is shown. */
export function useLoaded<T>(load: (db: Vecstore) => Promise<T>, on: unknown[], everyMs = 0): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: unknown; loading: boolean }>({ loading: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(0);
  const reload = useCallback(() => setTurn((one) => one + 1), []);
  useEffect(() => setState({ loading: true }), on);
  useEffect(() => {
    const mine = ++latest.current;
    setState((before) => ({ ...before, loading: true }));
    ask(load).then(
      (data) => mine === latest.current && setState({ data, loading: false }),
      (error: unknown) => mine === latest.current && setState((before) => ({ ...before, error, loading: false })),
    );
    return () => void latest.current++;
  }, [...on, turn]);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => document.hidden || reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return { data: state.data, error: state.error, loading: state.loading, reload };
}
