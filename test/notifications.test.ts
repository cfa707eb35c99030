import { expect } from 'chai';
import { EventEmitter, once } from 'node:events';
import { notificationOutput, startNotifications, type Notifications } from '../modules/registry/src/notifications.ts';
import { parseSettings } from '../modules/registry/src/settings/parse-settings.ts';
import type { Settings } from '../modules/registry/src/settings/settings.ts';
import type { Store } from '../modules/registry/src/store/store.ts';
import type { Json, JsonObject } from '../modules/registry/src/twin/twin.ts';
import { pushImage, sampleImage } from './helpers/images.ts';
import { repository, tag } from './helpers/names.ts';
import { withStore, type StoreTest } from './store/with-store.ts';

const plant = repository('plant/hello');
const [one, two] = [tag('1'), tag('2')];
const hello = sampleImage(['hello']);

/** The cloud's end: what arrived, in order; `refuse` makes the next sends fail. */
class Cloud extends EventEmitter<{ sent: []; refused: [] }> {
  readonly events: JsonObject[] = [];
  refuse = false;

  send = (output: string, message: Json): Promise<void> => {
    expect(output).to.equal(notificationOutput);
    if (this.refuse) {
      this.emit('refused');
      return Promise.reject(new Error('offline'));
    }
    this.events.push(message as JsonObject);
    this.emit('sent');
    return Promise.resolve();
  };

  async received(count: number): Promise<void> {
    while (this.events.length < count) await once(this, 'sent');
  }

  get brief(): string[] {
    return this.events.map((event) => {
      const { subject, data } = event as { subject: string; data: { action: string } };
      return `${data.action} ${subject}`;
    });
  }
}

interface Site extends StoreTest {
  readonly cloud: Cloud;
  readonly start: (store: Store) => Notifications;
}

function withSite(body: (site: Site) => Promise<void>): () => Promise<void> {
  return withStore(async (test) => {
    const { clock, log } = test;
    const cloud = new Cloud();
    const opened: Notifications[] = [];
    const start = (store: Store): Notifications => {
      const from = { registryName: 'plant7', instanceId: 'i1' };
      const notifications = startNotifications({ store, twin: cloud, ...from, clock, log });
      opened.push(notifications);
      return notifications;
    };
    try {
      await body({ ...test, cloud, start });
    } finally {
      for (const notifications of opened) await notifications.close();
    }
  });
}

function asking(...notificationsList: string[]): Settings {
  const parsed = parseSettings({ notificationsList });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.settings;
}

const active = { active: true };
/** The cursor is in the store: what happens from now on is told. */
async function listening(store: Store): Promise<void> {
  while ((await store.records.get('notifications')) === undefined) await new Promise(setImmediate);
}

describe('notifications', () => {
  it(
    'are sent in the shape of Event Grid for what happens after they were asked for',
    withSite(async ({ store, cloud, clock, start }) => {
      await pushImage(store.local, plant, hello, one);
      start(store).apply(asking('plant/*:*:*'), active);
      await listening(store);
      await pushImage(store.local, plant, hello, two);
      await cloud.received(1);
      const { digest, mediaType, bytes } = hello.manifest;
      const timestamp = clock.now().toISOString();
      expect(cloud.events).to.deep.equal([
        {
          id: 'i1-2',
          topic: '/connectedRegistries/plant7',
          subject: 'plant/hello:2',
          eventType: 'Microsoft.ContainerRegistry.ImagePushed',
          eventTime: timestamp,
          dataVersion: '2.0',
          metadataVersion: '1',
          data: {
            id: 'i1-2',
            timestamp,
            action: 'push',
            target: {
              ...{ mediaType, size: bytes.length, length: bytes.length, digest },
              ...{ repository: 'plant/hello', tag: '2' },
            },
            connectedregistry: { name: 'plant7' },
          },
        },
      ]);
    }),
  );

  it(
    'tell of pushes and deletes by clients and by sync, and of removed tags, as far as a filter asks',
    withSite(async ({ store, cloud, start }) => {
      start(store).apply(asking('plant/*:*:*', 'office/*:*:delete'), active);
      await listening(store);
      const office = repository('office/hello');
      await pushImage(store.local, office, hello, one);
      await pushImage(store.replica, plant, hello, one);
      await store.local.deleteTag(plant, one);
      await pushImage(store.local, plant, hello, two);
      await store.local.deleteManifest(office, hello.manifest.digest);
      await store.replica.deleteManifest(plant, hello.manifest.digest);
      await cloud.received(5);
      expect(cloud.brief).to.deep.equal([
        'push plant/hello:1',
        'delete plant/hello:1',
        'push plant/hello:2',
        `delete office/hello@${hello.manifest.digest}`,
        `delete plant/hello@${hello.manifest.digest}`,
      ]);
    }),
  );

  it(
    'wait while the hub is away, and lose nothing over a restart',
    withSite(async ({ store, cloud, clock, reopen, start }) => {
      const first = start(store);
      first.apply(asking('*:*:*'), active);
      await listening(store);
      cloud.refuse = true;
      const refused = once(cloud, 'refused');
      await pushImage(store.local, plant, hello, one);
      await refused;
      await pushImage(store.local, plant, hello, two);
      await first.close();

      const reopened = await reopen();
      const second = start(reopened);
      const again = once(cloud, 'refused');
      second.apply(asking('*:*:*'), active);
      await again;
      await clock.sleeping();
      cloud.refuse = false;
      await clock.advance(60_000);
      await cloud.received(2);
      expect(cloud.brief).to.deep.equal(['push plant/hello:1', 'push plant/hello:2']);
      await second.close();
    }),
  );

  it(
    'begin anew after a time in which nobody asked, or the registry was inactive',
    withSite(async ({ store, cloud, start }) => {
      const notifications = start(store);
      notifications.apply(asking('*:*:*'), active);
      await listening(store);
      notifications.apply(asking('*:*:*'), { active: false });
      while ((await store.records.get('notifications')) !== undefined) await new Promise(setImmediate);
      await pushImage(store.local, plant, hello, one);
      notifications.apply(asking('*:*:*'), active);
      await listening(store);
      await pushImage(store.local, plant, hello, two);
      await cloud.received(1);
      expect(cloud.brief).to.deep.equal(['push plant/hello:2']);
    }),
  );

  it(
    'that expired before they could be sent are counted in the log',
    withSite(async ({ store, cloud, clock, log, start }) => {
      const notifications = start(store);
      notifications.apply(asking('*:*:*'), active);
      await listening(store);
      cloud.refuse = true;
      const refused = once(cloud, 'refused');
      await pushImage(store.local, plant, hello, one);
      await refused;
      await clock.sleeping();
      await clock.advance(1_000);
      await pushImage(store.local, plant, hello, two);
      await store.journal.expire(clock.now());
      cloud.refuse = false;
      await clock.advance(60_000);
      await cloud.received(1);
      expect(cloud.brief).to.deep.equal(['push plant/hello:2']);
      const line = log.lines.find(({ message }) => message === 'changes expired before they could be notified');
      expect(line?.fields).to.deep.equal({ count: 1 });
    }),
  );
});
