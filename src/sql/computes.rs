//! Functions of the engines that only compute, by their names.

use crate::model::engine::{Engine, EngineMap};

/// Those that PostgreSQL has, and words that may stand before a parenthesis: a function of the user's own that has the same name and
/// the same arguments is not the one that is called.
const COMMON: &str = "\
    abs age all and any array array_agg array_length array_to_string as avg between bit bit_length bool_and bool_or \
    btrim by cardinality case cast ceil ceiling char char_length character check clock_timestamp coalesce column \
    concat concat_ws count cube cume_dist current_date current_schema current_setting current_timestamp date_part \
    date_trunc dec decimal dense_rank distinct else every except exists exp extract filter first_value float floor \
    format from gen_random_uuid generate_series greatest group grouping having in include initcap intersect interval \
    is join json_agg json_build_object jsonb_agg jsonb_array_elements jsonb_build_object jsonb_object_agg key lag \
    last_value lateral lead least left length like limit ln log lower lpad ltrim make_date materialized max md5 min \
    mod not now nth_value ntile nullif numeric on or over percent_rank percentile_cont percentile_disc pg_typeof \
    position power random rank regexp_replace repeat replace reverse right rollup round row row_number rpad rtrim \
    select set sets sign some split_part sqrt statement_timestamp stddev string_agg string_to_array strpos substr \
    substring sum then time timestamp timestamptz to_char to_date to_regclass to_timestamp transaction_timestamp trim \
    trunc union unique unnest upper using values varchar variance varying version when where with";

/// Those that PostgreSQL lacks, where a function of that name is somebody's own.
const OTHERS: &str = "\
    any_value changes convert database date date_add date_sub datediff datetime day group_concat hex if ifnull iif \
    instr json_array json_extract json_group_array json_object json_table json_valid julianday month printf quote \
    rand strftime timestampdiff total typeof unhex unixepoch uuid year";

const OWN: EngineMap<&str> = EngineMap { sqlite: OTHERS, postgres: "", mysql: OTHERS };

/// Whether nothing but a value comes of a call of this name.
pub(crate) fn computes(engine: Engine, name: &str) -> bool {
    [COMMON, OWN[engine]].iter().flat_map(|list| list.split(' ')).any(|known| known.eq_ignore_ascii_case(name))
}
