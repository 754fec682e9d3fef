import { readdir } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, type OpenMetricsContentType, Registry } from 'prom-client';
import type { EventStore } from '../../store/event-store.js';
import type { RequestReport } from './access-log.js';

/** Seconds: a manifest takes a millisecond, a large layer minutes. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Others could be any text: each would add a series. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** What a server counts, in the OpenMetrics format. */
export class ServerMetrics {
  readonly #registry = new Registry<OpenMetricsContentType>();
  readonly #requests: Counter<'method' | 'route' | 'status'>;
  readonly #durations: Histogram<'method' | 'route'>;
  readonly #inFlight: Gauge;
  readonly #received: Counter;
  readonly #sent: Counter;
  readonly #refused: Counter<'code'>;

  /** `past` is the last event that is served; undefined for the head. */
  constructor(store: EventStore, past: Promise<number> | undefined) {
    this.#registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: 'imagelog_http_requests_total',
      help: 'Requests answered, by pattern of the route; status 0 when the client left before.',
      labelNames: ['method', 'route', 'status'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'imagelog_http_request_duration_seconds',
      help: 'Time until an answer had left.',
      labelNames: ['method', 'route'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#inFlight = new Gauge({ name: 'imagelog_http_requests_in_flight', help: 'Requests in progress.', registers });
    this.#received = new Counter({ name: 'imagelog_http_received_bytes_total', help: 'Bytes of requests.', registers });
    this.#sent = new Counter({ name: 'imagelog_http_sent_bytes_total', help: 'Bytes of answers.', registers });
    this.#refused = new Counter({
      name: 'imagelog_http_refused_total',
      help: 'Connections and requests refused before any route.',
      labelNames: ['code'],
      registers,
    });
    this.#addStore(store, past);
    this.#addProcess();
  }

  readonly began = (): void => this.#inFlight.inc();

  readonly ended = ({ method, route, status, durationMs, bytesIn, bytesOut }: RequestReport): void => {
    this.#inFlight.dec();
    const labels = { method: METHODS.has(method) ? method : 'OTHER', route };
    this.#requests.inc({ ...labels, status });
    this.#durations.observe(labels, durationMs / 1_000);
    this.#received.inc(bytesIn);
    this.#sent.inc(bytesOut);
  };

  refused(code: string): void {
    this.#refused.inc({ code });
  }

  /** Adds a gauge that `read` gives at each scrape; undefined leaves it out. */
  gauge(name: string, help: string, read: () => number | undefined | Promise<number | undefined>): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        const value = await read();
        if (value === undefined) gauge.reset();
        else gauge.set(value);
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Resolves with all metrics as text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #addStore(store: EventStore, past: Promise<number> | undefined): void {
    this.gauge('imagelog_log_head', 'Seq of the last event.', () => past ?? store.log.head.seq);
    this.gauge('imagelog_images', 'Images in the store.', () => store.len());
    this.gauge(
      'imagelog_references',
      'References in the store.',
      lastAt(store, () => store.referenceEntries().length),
    );
  }

  #addProcess(): void {
    this.gauge(
      'process_start_time_seconds',
      'Start of the process since the epoch.',
      () => performance.timeOrigin / 1_000,
    );
    this.gauge('process_resident_memory_bytes', 'Memory in use.', () => process.memoryUsage.rss());
    this.gauge('nodejs_heap_used_bytes', 'Memory of objects.', () => process.memoryUsage().heapUsed);
    this.gauge('process_open_fds', 'Open file descriptors.', openDescriptors);
    const cpu: Counter = new Counter({
      name: 'process_cpu_seconds_total',
      help: 'Time of all processors.',
      registers: [this.#registry],
      collect() {
        const { user, system } = process.cpuUsage();
        cpu.reset();
        cpu.inc((user + system) / 1_000_000);
      },
    });
    let before = performance.eventLoopUtilization();
    this.gauge('nodejs_eventloop_utilization', 'Share of time the loop was busy since it was last asked.', () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      return utilization;
    });
  }
}

/** Counts again only after events. */
function lastAt(store: EventStore, count: () => number): () => number {
  let known = { seq: -1, value: 0 };
  return () => {
    const { seq } = store.log.head;
    if (known.seq !== seq) known = { seq, value: count() };
    return known.value;
  };
}

async function openDescriptors(): Promise<number | undefined> {
  // Only Linux has the folder.
  return (await readdir('/proc/self/fd').catch(() => undefined))?.length;
}
