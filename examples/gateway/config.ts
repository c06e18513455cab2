/** The gateway's configuration: what the environment may say. */
import { Config, Context, Effect, Layer, Option, Redacted, Schema, SchemaGetter } from "effect"
import { reasonOf, StartError } from "./startError.ts"

const units = new Map([["", 1], ["kib", 2 ** 10], ["mib", 2 ** 20], ["gib", 2 ** 30]])
const size = /^(\d{1,15}) ?(|KiB|MiB|GiB)$/i

/** Bytes, as a number or with a unit: `268435456`, `256 MiB`. */
const Bytes = Schema.String.check(Schema.isPattern(size)).pipe(
  Schema.decodeTo(Schema.Int, {
    decode: SchemaGetter.transform((text) => {
      const [, digits, unit] = size.exec(text)!
      return Number(digits) * units.get(unit!.toLowerCase())!
    }),
    encode: SchemaGetter.transform(String)
  }),
  Schema.decodeTo(Schema.Int.check(Schema.isGreaterThanOrEqualTo(2 ** 20)))
)

const variables = Config.all({
  host: Config.NonEmptyString("HOST").pipe(Config.withDefault("127.0.0.1")),
  port: Config.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 })), "PORT").pipe(
    Config.withDefault(8080)
  ),
  dataDir: Config.NonEmptyString("DATA_DIR").pipe(Config.withDefault(".data")),
  databaseUrl: Config.option(Config.Redacted("DATABASE_URL")),
  masterToken: Config.Redacted("SCIROCCO_MASTER_TOKEN").pipe(Config.withDefault(Redacted.make("DEFAULT_TOKEN"))),
  origins: Config.option(Config.NonEmptyString("ALLOWED_ORIGINS")),
  hosts: Config.option(Config.NonEmptyString("ALLOWED_HOSTS")),
  memoryBudget: Config.schema(Bytes, "MEMORY_BUDGET").pipe(Config.withDefault(256 * 2 ** 20)),
  logLevel: Config.LogLevel("LOG_LEVEL").pipe(Config.withDefault("Info" as const))
})

type Variables = Config.Success<typeof variables>

/** The configuration, checked. */
export class Settings extends Context.Service<
  Settings,
  Omit<Variables, "origins" | "hosts"> & {
    /** Whether only programs on this machine can reach the gateway. The users with known passwords exist only then. */
    readonly isLoopback: boolean
    /** Browser origins that may open a connection; `"same"` is the gateway's own. */
    readonly allowedOrigins: "same" | ReadonlyArray<string>
    /** Further names that it answers to where it listens on loopback: a container's, a proxy's. */
    readonly allowedHosts: ReadonlyArray<string>
  }
>()("effect-wire/examples/gateway/config/Settings") {}

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

const listOf = (text: string): ReadonlyArray<string> =>
  text.split(",").map((one) => one.trim()).filter((one) => one !== "")

const check = Effect.fnUntraced(function*({ hosts, origins, ...rest }: Variables) {
  const settings = {
    ...rest,
    isLoopback: isLoopback(rest.host),
    allowedOrigins: Option.match(origins, {
      onNone: () => "same" as const,
      onSome: listOf
    }),
    allowedHosts: Option.match(hosts, { onNone: () => [], onSome: listOf })
  }
  if (!settings.isLoopback && Redacted.value(settings.masterToken) === "DEFAULT_TOKEN") {
    return yield* new StartError({
      message: `HOST is ${settings.host}, which others can reach: set SCIROCCO_MASTER_TOKEN to a secret of your own`
    })
  }
  return settings
})

/** Reads the environment. Fails with the name of the variable that is wrong. */
export const layer: Layer.Layer<Settings, StartError> = Layer.effect(
  Settings,
  variables.pipe(
    Effect.mapError((error) => new StartError({ message: `the configuration is wrong: ${described(error)}` })),
    Effect.flatMap(check)
  )
)

/** `Expected … at ["PORT"]`, without the name of the error around it. */
const described = (error: Config.ConfigError) => reasonOf(error).replace(/^SchemaError\((.*)\)$/, "$1")
