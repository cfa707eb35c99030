import type { Descriptor, Platform } from './manifest.ts';

/** `linux/arm/v7` -> its parts; undefined when it is not `os/architecture[/variant]`. */
export function parsePlatform(text: string): Platform | undefined {
  const match = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/.exec(text);
  if (!match) return undefined;
  const [, os = '', architecture = '', variant] = match;
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

/** The variant that is meant where none is written (containerd, platforms/database.go). */
const usualVariant: Readonly<Record<string, string>> = { arm: 'v7', arm64: 'v8' };

/**
 * Whether an index child is wanted under a platform filter. No filter wants everything; a child without
 * a platform (or `unknown/unknown`, as attestations have) is always wanted, since nothing says it is not needed.
 */
export function wantsPlatform(filter: readonly Platform[], child: Pick<Descriptor, 'platform'>): boolean {
  const { platform } = child;
  if (filter.length === 0 || !platform || platform.os === 'unknown') return true;
  return filter.some(
    (wanted) =>
      wanted.os === platform.os &&
      wanted.architecture === platform.architecture &&
      (wanted.variant === undefined || wanted.variant === (platform.variant ?? usualVariant[platform.architecture])),
  );
}
