const mark = '[redacted]';

/** A key whose value is a secret: `password`, `SyncTokenPassword`, `accessToken`, `hash`; not `tokenName`, not `clientTokens`. */
const secretKey =
  /(?:passw(?:or)?d|passwords|pwd|secret|token|authorization|hash|signature|^sig|credentials?|cookie|connectionstring|accesskey|privatekey|signingkey)$/i;

export function isSecretKey(key: string): boolean {
  return secretKey.test(key.replaceAll(/[-_. ]/g, ''));
}

/** Secrets that are known by their shape or by what stands before them. Each takes linear time. */
const shapes: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g, mark],
  [/:\/\/[^\s/?#]*@/g, `://${mark}@`],
  [/\bSharedAccessSignature\s+\S+/gi, `SharedAccessSignature ${mark}`],
  [/(\bauthorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|digest)\s+)?)[^\s"']+/gi, `$1${mark}`],
  [/\b(bearer|basic)\s+[\w+/.~-]{8,}=*/gi, `$1 ${mark}`],
  [
    /(["'][\w-]*(?:password|passwd|pwd|secret|token|hash|signature|connectionstring|key)["']\s*:\s*)"(?:[^"\\]|\\.)*"?/gi,
    `$1"${mark}"`,
  ],
  [
    /(["'][\w-]*(?:password|passwd|pwd|secret|token|hash|signature|connectionstring|key)["']\s*:\s*)'(?:[^'\\]|\\.)*'?/gi,
    `$1'${mark}'`,
  ],
  [/((?:password|passwd|pwd|secret|token|hash|sig|signature|credential|key)=)[^\s;]+/gi, `$1${mark}`],
  [/((?:password|passwd|pwd|secret):\s*)[^\s;"'{[]+/gi, `$1${mark}`],
  [/\$(scrypt|argon2\w*|pbkdf2[\w-]*|2[aby])\$[^\s"']+/g, `$$$1$$${mark}`],
  [/(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*/g, mark],
];

/** `text` without passwords, tokens, signatures, hashes and keys. Rather too much is hidden than too little. */
export function redactText(text: string): string {
  return shapes.reduce((rest, [shape, replacement]) => rest.replaceAll(shape, replacement), text);
}

const deepest = 6;

/**
 * A copy of `value` that can be printed as JSON and shows no secret: values under secret keys are replaced whole,
 * other strings pass `redactText`, errors become their messages, bytes their number. Cycles end at a fixed depth.
 */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return redactText(describeError(value));
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (value instanceof URL) return redactText(value.href);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (depth === deepest) return '…';
  if (Array.isArray(value) || value instanceof Set) return [...value].map((item) => redactValue(item, depth + 1));
  const entries: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  return Object.fromEntries(
    [...entries].map(([key, item]) => {
      const name = redactText(String(key));
      return [name, isSecretKey(name) && item !== undefined ? mark : redactValue(item, depth + 1)];
    }),
  );
}

/** An error's message, its system code, and the same of what caused it: `sync failed: fetch failed: … (ECONNRESET)`. */
export function describeError(error: Error, depth = 0): string {
  const { code } = error as { code?: unknown };
  const message = error.message === '' ? error.name : error.message;
  const own = typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message;
  if (depth === deepest) return own;
  const causes: unknown[] = error instanceof AggregateError ? error.errors : [error.cause];
  const told = causes.map((cause) =>
    cause instanceof Error ? describeError(cause, depth + 1) : typeof cause === 'string' ? cause : '',
  );
  return [own, told.filter((text) => text !== '' && !own.includes(text)).join('; ')].filter(Boolean).join(': ');
}
