/** The gateway's configuration: what the environment may say. */
import { Config, Context, Effect, Layer, Option, Redacted, Schema } from "effect"
import { reasonOf, StartError } from "./startError.ts"

const variables = Config.all({
  host: Config.NonEmptyString("HOST").pipe(Config.withDefault("127.0.0.1")),
  port: Config.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 })), "PORT").pipe(
    Config.withDefault(8080)
  ),
  dataDir: Config.NonEmptyString("DATA_DIR").pipe(Config.withDefault(".data")),
  databaseUrl: Config.option(Config.Redacted("DATABASE_URL")),
  masterToken: Config.Redacted("SCIROCCO_MASTER_TOKEN").pipe(Config.withDefault(Redacted.make("DEFAULT_TOKEN"))),
  origins: Config.option(Config.NonEmptyString("ALLOWED_ORIGINS")),
  logLevel: Config.LogLevel("LOG_LEVEL").pipe(Config.withDefault("Info" as const))
})

type Variables = Config.Success<typeof variables>

/** The configuration, checked. */
export class Settings extends Context.Service<
  Settings,
  Omit<Variables, "origins"> & {
    /** Whether only programs on this machine can reach the gateway. The users with known passwords exist only then. */
    readonly isLoopback: boolean
    /** Browser origins that may open a connection; `"same"` is the gateway's own. */
    readonly allowedOrigins: "same" | ReadonlyArray<string>
  }
>()("effect-wire/examples/gateway/config/Settings") {}

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

const check = Effect.fnUntraced(function*({ origins, ...rest }: Variables) {
  const settings = {
    ...rest,
    isLoopback: isLoopback(rest.host),
    allowedOrigins: Option.match(origins, {
      onNone: () => "same" as const,
      onSome: (list) => list.split(",").map((origin) => origin.trim()).filter((origin) => origin !== "")
    })
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
