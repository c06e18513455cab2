/**
 * @internal How a function of PostgreSQL is defined. It carries planner settings: a plan that was cached while a table was
 * small must not be a scan of a table that has grown.
 */

/** Settings cost a little at every call: what is called all the time says by `LATERAL` and `OFFSET 0` how it is joined. */
export const planner = "SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan"
const seldom = `${planner} SET enable_hashjoin = off SET enable_mergejoin = off`

export type Define = (name: string, parameters: string, returns: string, body: string, settings?: string) => string

export const makeDefine = (p: string): Define => (name, parameters, returns, body, settings = seldom) =>
  `CREATE FUNCTION ${p}_${name}(${parameters}) RETURNS ${returns} LANGUAGE plpgsql ${settings} AS $body$
    #variable_conflict use_column
    ${body}
    $body$`
