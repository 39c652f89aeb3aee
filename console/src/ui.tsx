/** Small parts that every page is made of. */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { stringify, VecstoreError } from "vecstore-client";

export function Problem({ error }: { error: unknown }) {
  if (!error) return null;
  const known = error instanceof VecstoreError ? error : null;
  const about =
    known?.status === 403
      ? "Not allowed: "
      : known?.status === 401
        ? "A key is needed: "
        : "";
  return (
    <div class="problem" role="alert">
      <b>{about}</b>
      {known ? known.message : String(error instanceof Error ? error.message : error)}
      {known && known.errors.length > 1 && (
        <ul>{known.errors.map((one) => <li key={one.path}>{one.message}</li>)}</ul>
      )}
      {known && (
        <small>
          {known.status || "no answer"} {known.reason}
          {known.requestId && <> · request <code>{known.requestId}</code></>}
        </small>
      )}
    </div>
  );
}

export interface FieldProps {
  label: string;
  children: (id: string) => ComponentChildren;
  hint?: string;
  grow?: boolean;
  class?: string;
}

/** A label and the control it belongs to, which gets its id. */
export function Field({ label, children, hint, grow, class: name = "" }: FieldProps) {
  const id = useId();
  return (
    <div class={`field ${grow ? "grow" : ""} ${name}`}>
      <label for={id}>{label}</label>
      {children(id)}
      {hint && <small>{hint}</small>}
    </div>
  );
}

interface InputProps {
  label: string;
  value: string;
  onValue: (value: string) => void;
  hint?: string;
  grow?: boolean;
  type?: "text" | "number" | "password" | "search";
  placeholder?: string;
  list?: string[];
  width?: string;
  /** Of a dialog: has the focus when it opens. */
  first?: boolean;
}

export function Input({ label, value, onValue, hint, grow, type = "text", placeholder, list, width, first }: InputProps) {
  return (
    <Field label={label} {...(hint ? { hint } : {})} {...(grow ? { grow } : {})}>
      {(id) => (
        <>
          <input
            id={id}
            type={type as "text"}
            {...(type === "number" ? { step: "any" } : {})}
            value={value}
            placeholder={placeholder ?? ""}
            autocomplete="off"
            data-first={first ? "" : undefined}
            spellcheck={false}
            style={width ? { width } : {}}
            {...(list ? { list: `${id}-list` } : {})}
            onInput={(event) => onValue(event.currentTarget.value)}
          />
          {list && <datalist id={`${id}-list`}>{list.map((one) => <option key={one} value={one} />)}</datalist>}
        </>
      )}
    </Field>
  );
}

interface SelectProps {
  label: string;
  value: string;
  onValue: (value: string) => void;
  options: (string | [string, string])[];
  hint?: string;
}

export function Select({ label, value, onValue, options, hint }: SelectProps) {
  return (
    <Field label={label} {...(hint ? { hint } : {})}>
      {(id) => (
        <select id={id} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          {options.map((one) => {
            const [name, shown] = typeof one === "string" ? [one, one] : one;
            return <option key={name} value={name}>{shown}</option>;
          })}
        </select>
      )}
    </Field>
  );
}

export function Check({ label, checked, onValue }: { label: string; checked: boolean; onValue: (value: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked} onChange={(event) => onValue(event.currentTarget.checked)} /> {label}
    </label>
  );
}

/** The element's own dialog: it holds the focus, and Escape closes it. */
export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const shown = element.current;
    const before = document.activeElement;
    if (shown && !shown.open) shown.showModal();
    shown?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => {
      shown?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog ref={element} class={wide ? "wide" : ""} aria-labelledby={id} onCancel={(event) => { event.preventDefault(); onClose(); }}>
      <header>
        <h2 id={id}>{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={onClose}>✕</button>
      </header>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  action: string;
  /** To be typed before the action may be taken. */
  word?: string;
  onYes: () => Promise<void>;
  onClose: () => void;
}

export function Confirm({ title, children, action, word, onYes, onClose }: ConfirmProps) {
  const [typed, setTyped] = useState("");
  const { run, error, busy } = useAction(onYes);
  return (
    <Dialog title={title} onClose={onClose}>
      <form method="dialog" onSubmit={(event) => { event.preventDefault(); void run().then((done) => done && onClose()); }}>
        <p>{children}</p>
        {word && <Input label={`Type ${word} to confirm`} value={typed} onValue={setTyped} first />}
        <Problem error={error} />
        <footer>
          <button type="button" onClick={onClose}>Cancel</button>
          <button class="danger" disabled={busy || (word !== undefined && typed !== word)}>{action}</button>
        </footer>
      </form>
    </Dialog>
  );
}

/** A call that a button makes: whether it runs, and what went wrong. `run` resolves to whether it went well. */
export function useAction(action: () => Promise<void>): { run: () => Promise<boolean>; error: unknown; busy: boolean } {
  const [state, setState] = useState<{ error?: unknown; busy: boolean }>({ busy: false });
  const run = async (): Promise<boolean> => {
    setState({ busy: true });
    try {
      await action();
      setState({ busy: false });
      return true;
    } catch (error) {
      setState({ error, busy: false });
      return false;
    }
  };
  return { run, error: state.error, busy: state.busy };
}

export function Progress({ done, total, label }: { done: number; total: number; label: string }) {
  return <progress aria-label={label} {...(total > 0 ? { value: done, max: total } : {})} />;
}

/** How much of the most something is, beside the number that says it. */
export function Bar({ share }: { share: number }) {
  return <span class="meter" aria-hidden="true"><i style={{ width: `${Math.max(share > 0 ? 0.5 : 0, 100 * share)}%` }} /></span>;
}

/** JSON, folded out: objects as terms with their values, lists of numbers on one line. */
export function Json({ value }: { value: unknown }) {
  return <pre class="json">{stringify(value, 2)?.replace(/\[\s+([^[\]{}"]*?)\s+\]/g, (_, row: string) => `[${row.replace(/\s+/g, " ")}]`)}</pre>;
}

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = () => void navigator.clipboard.writeText(text).then(() => { setDone(true); setTimeout(() => setDone(false), 1200); });
  return <button type="button" onClick={copy}>{done ? "Copied" : label}</button>;
}

export function State({ state }: { state: string }) {
  const mood = /ready|ok|done/.test(state) ? "good" : /fail|damag|error/.test(state) ? "bad" : /build|running|pending/.test(state) ? "busy" : "";
  return <span class={`state ${mood}`}>{state}</span>;
}
