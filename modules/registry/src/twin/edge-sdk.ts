import type { DeviceMethodResponse } from 'azure-iot-device';
import type { Mqtt } from 'azure-iot-device-mqtt';
import { safePayload } from './twin-messages.ts';

/**
 * Loads the SDK on first use: it costs 10 MB and 70 ms, which nobody outside IoT Edge shall pay.
 * It is CommonJS whose names an ES module cannot import one by one, hence the default import.
 */
export async function loadSdk() {
  const [device, mqtt] = await Promise.all([import('azure-iot-device'), import('azure-iot-device-mqtt')]);
  const { ModuleClient, IotEdgeAuthenticationProvider, SharedAccessKeyAuthenticationProvider, Message } =
    device.default;
  return {
    ModuleClient,
    IotEdgeAuthenticationProvider,
    SharedAccessKeyAuthenticationProvider,
    Message,
    Mqtt: mqtt.default.Mqtt,
  };
}

export type Sdk = Awaited<ReturnType<typeof loadSdk>>;

/** What we need of the SDK's insides; both packages are pinned to exact versions. */
interface MqttInsides {
  readonly _mqtt: {
    emit(event: string, ...details: unknown[]): boolean;
    connect(config: unknown, done: (error: Error) => void): void;
    readonly _mqttClient?: { readonly stream: { destroy(): void } };
  };
}

/**
 * The SDK's MQTT transport, but only messages it can digest reach it, `onUnreadable` hears of the others; and a
 * method nobody registered is answered 404, where the SDK lets the caller wait for his timeout.
 */
export function safeTransport(Base: typeof Mqtt, onUnreadable: (topic: string) => void) {
  return class SafeTransport extends Base {
    constructor(...details: ConstructorParameters<typeof Mqtt>) {
      super(...details);
      const connection = insidesOf(this)._mqtt;
      const emit = connection.emit.bind(connection);
      connection.emit = (event, ...message) => {
        if (event !== 'message') return emit(event, ...message);
        const [topic, payload] = message as [string, Buffer];
        const safe = safePayload(topic, payload);
        try {
          if (safe) return emit(event, topic, safe);
        } catch {
          // Reported below like any other message the SDK cannot take.
        }
        onUnreadable(topic);
        return false;
      };
    }

    override emit(event: string | symbol, ...details: unknown[]): boolean {
      if (super.emit(event, ...details)) return true;
      const [request] = details as [{ requestId: string } | undefined];
      if (String(event).startsWith('method_') && request) this.#refuseMethod(request.requestId);
      return false;
    }

    #refuseMethod(requestId: string): void {
      const answer = { requestId, status: 404, payload: { message: 'there is no such method' } };
      this.sendMethodResponse(answer as unknown as DeviceMethodResponse, () => undefined);
    }
  };
}

/**
 * Cuts the connection where an orderly end got no answer, and lets no operation that is still under way inside the
 * SDK make another one: a second client of one identity throws out the first. `onLate` hears of such an attempt.
 */
export function cutConnection(transport: Mqtt, onLate: () => void): void {
  const connection = insidesOf(transport)._mqtt;
  connection.connect = (_config, done) => {
    onLate();
    done(new Error('this client was closed'));
  };
  connection._mqttClient?.stream.destroy();
}

function insidesOf(transport: Mqtt): MqttInsides {
  return transport as unknown as MqttInsides;
}
