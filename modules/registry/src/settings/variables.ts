export type Variables = Readonly<Record<string, string | undefined>>;

export type Replaced =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly missing: readonly string[] };

/**
 * Replaces each `$NAME` in `text` from `variables`, as in `$IOTEDGE_PARENTHOSTNAME:8000`.
 * An unset or empty variable is missing: an address with a hole in it is worse than none.
 */
export function replaceVariables(text: string, variables: Variables): Replaced {
  const missing: string[] = [];
  const replaced = text.replace(/\$([A-Za-z_][A-Za-z0-9_]*)/g, (_, name: string) => {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (!value) missing.push(name);
    return value ?? '';
  });
  return missing.length > 0 ? { ok: false, missing } : { ok: true, text: replaced };
}
