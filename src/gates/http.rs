//! Addresses: whether they answer, and the values of a Prometheus server.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::Held;
use crate::external::http::ask;
use crate::model::fault::bounded;
use crate::policy::Query;

/// Whether an address answers with a status of 200 to 299.
pub(super) async fn answers(url: &Url, timeout: Duration) -> Held {
    let reply = ask(url.to_string(), None, timeout).await?;
    if reply.is_success() { Ok(reply.status.to_string()) } else { Err(format!("status {}", reply.status)) }
}

/// Whether all values of a query are within its limits.
pub(super) async fn query(query: &Query, timeout: Duration) -> Held {
    let mut url = query.url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v1", "query"]);
    }
    url.query_pairs_mut().append_pair("query", &query.query);
    let reply = ask(url.to_string(), None, timeout).await?;
    let is_success = reply.is_success();
    let values = values(&reply.body?).map_err(|error| format!("{error} (status {})", reply.status))?;
    if is_success { judge(&values, query) } else { Err(format!("status {}", reply.status)) }
}

/// The answer of `/api/v1/query`.
#[derive(Deserialize)]
struct Answered {
    status: Option<String>,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    result: Value,
}

/// The values in an answer: one for each series of a vector, or that of a scalar.
fn values(body: &str) -> Result<Vec<f64>, String> {
    let no_answer = || "it is no answer of a Prometheus server".to_owned();
    let answered: Answered = serde_json::from_str(body).map_err(|_| no_answer())?;
    // Values that come with an error are not all that was asked for.
    let data = answered.data.filter(|_| answered.status.as_deref() == Some("success"));
    let Some(Data { result: Value::Array(result) }) = data else {
        return Err(answered.error.map_or_else(no_answer, bounded));
    };
    let number = |sample: &Value| sample.get(1)?.as_str()?.parse::<f64>().ok();
    let is_scalar = result.first().is_some_and(Value::is_number);
    let found: Option<Vec<f64>> = match is_scalar {
        true => number(&Value::Array(result)).map(|value| vec![value]),
        false => result.iter().map(|series| number(series.get("value")?)).collect(),
    };
    found.ok_or_else(|| "the query has to give numbers of one moment, not of a range".to_owned())
}

/// No value says nothing, and a value that is no number is within no limits.
fn judge(values: &[f64], query: &Query) -> Held {
    let is_within = |value: &&f64| {
        query.min.is_none_or(|min| **value >= min) && query.max.is_none_or(|max| **value <= max) && !value.is_nan()
    };
    let outside: Vec<String> = values.iter().filter(|value| !is_within(value)).take(3).map(f64::to_string).collect();
    match (values, outside.is_empty()) {
        ([], _) => Err("no value; `or vector(0)` makes one where there is no series".to_owned()),
        ([one], true) => Ok(one.to_string()),
        (many, true) => {
            let (least, most) = many.iter().fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
            Ok(format!("{least} to {most} ({} values)", many.len()))
        }
        (_, false) => Err(outside.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(min: Option<f64>, max: Option<f64>) -> Query {
        Query { url: Url::parse("http://h").unwrap(), query: "up".to_owned(), min, max }
    }

    #[test]
    fn every_series_has_to_be_within_the_limits_and_there_has_to_be_one() {
        let vector = |values: &str| {
            let series = |value: &str| format!(r#"{{"metric":{{}},"value":[1700000000.1,"{value}"]}}"#);
            let series: Vec<String> = values.split_whitespace().map(series).collect();
            values_of(&format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
                series.join(",")
            ))
        };
        let at_most = limits(None, Some(0.01));
        assert_eq!(judge(&vector("0.004"), &at_most), Ok("0.004".to_owned()));
        assert_eq!(judge(&vector("0 0.01 0.002"), &at_most), Ok("0 to 0.01 (3 values)".to_owned()));
        assert_eq!(judge(&vector("0.004 0.5"), &at_most), Err("0.5".to_owned()));
        assert_eq!(judge(&vector("NaN"), &at_most), Err("NaN".to_owned()));
        assert!(judge(&vector(""), &at_most).unwrap_err().contains("no value"));
        let scalar = values_of(r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"1"]}}"#);
        assert_eq!(judge(&scalar, &limits(Some(1.0), None)), Ok("1".to_owned()));
        assert_eq!(judge(&scalar, &limits(Some(2.0), None)), Err("1".to_owned()));
    }

    fn values_of(body: &str) -> Vec<f64> {
        values(body).unwrap()
    }

    #[test]
    fn what_is_no_value_is_told_and_holds_nothing() {
        assert_eq!(values(r#"{"status":"error","error":"parse error"}"#), Err("parse error".to_owned()));
        let partly =
            r#"{"status":"error","error":"timeout","data":{"resultType":"vector","result":[{"value":[1,"0"]}]}}"#;
        assert_eq!(values(partly), Err("timeout".to_owned()));
        assert!(values("<html>").unwrap_err().contains("no answer of a Prometheus server"));
        let matrix =
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]]}]}}"#;
        assert!(values(matrix).unwrap_err().contains("one moment"));
    }
}
