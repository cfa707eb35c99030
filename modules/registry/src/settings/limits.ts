/** A number this registry holds its settings to. */
export interface Limit {
  readonly value: number;
  readonly unit: string;
  /** Who set it: ACR's published limits, the IoT Hub twin, or a choice of ours. */
  readonly source: string;
}

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;

/** Every limit on settings, once: the checks, their messages and the README read this table. */
export const limits = {
  clientTokens: { value: 20, unit: 'client tokens per registry, unless raised', source: 'ACR' },
  clientTokensRaised: { value: 50, unit: 'client tokens per registry at most', source: 'ACR, since May 2025' },
  passwordsPerToken: { value: 2, unit: 'passwords per token', source: 'ACR' },
  repositoryPermissions: { value: 500, unit: 'repository permissions per scope map', source: 'ACR' },
  cloudTokens: { value: 20_000, unit: 'tokens per cloud registry', source: 'ACR; checked by the hierarchy tool' },
  cloudScopeMaps: {
    value: 20_000,
    unit: 'scope maps per cloud registry',
    source: 'ACR; checked by the hierarchy tool',
  },
  registryNameShortest: { value: 5, unit: 'letters and digits', source: 'ACR' },
  registryNameLongest: { value: 50, unit: 'letters and digits', source: 'ACR' },
  nameLongest: { value: 50, unit: 'characters of a token, scope map or password name', source: 'ACR' },
  messageTtlShortestMs: { value: dayMs, unit: 'milliseconds', source: 'ACR: 1 day' },
  messageTtlLongestMs: { value: 90 * dayMs, unit: 'milliseconds', source: 'ACR: 90 days' },
  syncWindowShortestMs: { value: hourMs, unit: 'milliseconds', source: 'ACR: 1 hour' },
  syncWindowLongestMs: { value: 7 * dayMs, unit: 'milliseconds', source: 'ACR: 7 days' },
  textLongest: { value: 4096, unit: 'characters of a string', source: 'IoT Hub twin: 4 KB' },
  wholeNumberLargest: { value: 2 ** 52 - 1, unit: '', source: 'IoT Hub twin' },
  transferConcurrency: { value: 16, unit: 'blobs at a time', source: 'ours' },
  scryptLnSmallest: { value: 10, unit: 'log2 of the cost', source: 'ours: less is guessed too fast' },
  scryptCostBytes: { value: 128 * 1024 * 1024, unit: 'bytes, 128·N·r·p', source: 'ours: more stalls the device' },
} as const satisfies Record<string, Limit>;
