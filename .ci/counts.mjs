// Prints "<passed> <failed>" of a result file: vitest's JSON report, or `{"passed":n,"failed":n}`. Exits with 1 without one.
import { readFileSync } from "node:fs"

const result = JSON.parse(readFileSync(process.argv[2], "utf8"))
if (Array.isArray(result.testResults)) {
  // a file that could not be loaded has no tests to count: it is one failure
  const broken = result.testResults.filter((file) =>
    file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")
  )
  // an error outside of any test makes the run fail as well
  const stray = !result.success && result.numFailedTests === 0 && broken.length === 0 ? 1 : 0
  console.log(`${result.numPassedTests} ${result.numFailedTests + broken.length + stray}`)
} else if (Number.isInteger(result.passed) && Number.isInteger(result.failed)) {
  console.log(`${result.passed} ${result.failed}`)
} else {
  process.exit(1)
}
