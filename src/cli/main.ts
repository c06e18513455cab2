#!/usr/bin/env node
/**
 * The program `effect-wire`: calls, listens, follows, queues, compares and loads, on every wire and carrier of this package.
 * The build makes one file of it, with one more for each command, which is read when the command runs.
 *
 * @since 0.2.0
 */
import { start } from "./internal/start.ts"

start(process.argv.slice(2))
