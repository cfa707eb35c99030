export interface MetricRow {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly meaning: string;
}

/** Every metric there is; README's table is checked against it. */
export const metricsTable = {
  info: gauge('info', ['version', 'mode'], 'Always 1; the labels say what is running'),
  requests: counter('http_requests_total', ['endpoint', 'method', 'status'], 'Requests answered'),
  requestSeconds: histogram('http_request_seconds', ['endpoint'], 'Time from request to the last byte of the answer'),
  sentBytes: counter('http_sent_bytes_total', ['endpoint'], 'Body bytes sent to clients'),
  receivedBytes: counter('http_received_bytes_total', ['endpoint'], 'Body bytes received from clients'),
  connectionState: gauge('connection_state', ['state'], '1 for the state the registry is in, 0 for the others'),
  statusDetails: gauge('status_details', ['type', 'code'], 'Conditions an operator should know of, that hold now'),
  inSync: gauge('sync_in_sync', [], '1: the last pass succeeded and nothing is left to carry up'),
  passes: counter('sync_passes_total', ['result'], 'Sync passes ended, by Succeeded, Failed or TimedOut'),
  lastSuccess: gauge('sync_last_success_timestamp_seconds', [], 'End of the last successful pass; 0: never'),
  blobsDone: gauge('sync_blobs_done', [], 'Blobs copied in the current or last pass, or ahead of the next'),
  blobsPlanned: gauge('sync_blobs_planned', [], 'Blobs to copy in the current or last pass, or ahead of the next'),
  bytesDone: gauge('sync_bytes_done', [], 'Bytes copied in the current or last pass, or ahead of the next'),
  bytesPlanned: gauge('sync_bytes_planned', [], 'Bytes to copy in the current or last pass, or ahead of the next'),
  repositories: gauge('repositories', ['state'], 'Synced repositories, by state'),
  tags: gauge('repository_tags', ['repository'], 'Tags the parent has; the 100 repositories that need attention most'),
  tagsInSync: gauge('repository_tags_in_sync', ['repository'], 'Tags that are here as the parent has them'),
  outboxPending: gauge('outbox_pending', [], 'Changes still to be carried to the parent'),
  outboxAge: gauge('outbox_oldest_age_seconds', [], 'Age of the oldest of them; 0: none'),
  childInSync: gauge('child_in_sync', ['child'], '1: the child says it is in sync; the first 100 children'),
  childState: gauge('child_connection_state', ['child', 'state'], '1 for the state the child is in'),
  childLastSeen: gauge('child_last_seen_timestamp_seconds', ['child'], 'When the child last told how it is; 0: never'),
  rateLimit: gauge(
    'transfer_rate_limit_bytes_per_second',
    [],
    'Rate that holds now, from and to the parent; 0: no limit',
  ),
  onDemand: counter(
    'on_demand_requests_total',
    ['result'],
    'What clients miss: Found at the parent, Missing there too, or Failed',
  ),
  notificationsSent: counter('notifications_sent_total', [], 'Events told to the cloud'),
  certificateExpiry: gauge(
    'certificate_expiry_timestamp_seconds',
    [],
    'End of the HTTPS certificate in use; 0: HTTPS is off',
  ),
  storageUsed: gauge('storage_used_bytes', [], 'Bytes this registry stores'),
  storageFree: gauge('storage_free_bytes', [], 'Bytes free on the data volume'),
  storageQuota: gauge('storage_quota_bytes', [], 'Configured limit; 0: none'),
  collections: counter('garbage_collections_total', ['result'], 'Garbage collections ended, by Succeeded or Failed'),
  collectedBytes: counter('garbage_collected_bytes_total', [], 'Bytes that garbage collections freed'),
  verifications: counter('verifications_total', ['result'], 'Verifications of the store, by Clean, Damaged or Failed'),
  findings: gauge('verification_findings', [], 'What the last verification found damaged or missing'),
  residentMemory: row('gauge', 'process_resident_memory_bytes', [], 'Memory of the process'),
  heapUsed: row('gauge', 'nodejs_heap_size_used_bytes', [], 'Part of it in JavaScript objects'),
  cpuSeconds: row('counter', 'process_cpu_seconds_total', [], 'Processor time, user and system'),
  startTime: row('gauge', 'process_start_time_seconds', [], 'When the process started'),
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof metricsTable;

function row(type: MetricRow['type'], name: string, labels: readonly string[], meaning: string): MetricRow {
  return { name, type, labels, meaning };
}
function gauge(name: string, labels: readonly string[], meaning: string): MetricRow {
  return row('gauge', `connected_registry_${name}`, labels, meaning);
}
function counter(name: string, labels: readonly string[], meaning: string): MetricRow {
  return row('counter', `connected_registry_${name}`, labels, meaning);
}
function histogram(name: string, labels: readonly string[], meaning: string): MetricRow {
  return row('histogram', `connected_registry_${name}`, labels, meaning);
}
