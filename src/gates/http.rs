//! Addresses: whether they answer, and the values of a Prometheus server.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::oneshot;
use url::Url;

use super::Held;
use crate::model::fault::bounded;
use crate::model::program;
use crate::policy::Query;

/// The longest body that is read, in bytes.
const LONGEST: u64 = 1_000_000;

/// An answer: its status and its body.
type Reply = (u16, Result<String, String>);

/// Whether an address answers with a status of 200 to 299.
pub(super) async fn answers(url: &Url, timeout: Duration) -> Held {
    match get(url.clone(), timeout).await {
        Ok((status, _)) if (200..300).contains(&status) => Ok(status.to_string()),
        Ok((status, _)) => Err(format!("status {status}")),
        Err(error) => Err(error),
    }
}

/// Whether all values of a query are within its limits.
pub(super) async fn query(query: &Query, timeout: Duration) -> Held {
    let mut url = query.url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["api", "v1", "query"]);
    }
    url.query_pairs_mut().append_pair("query", &query.query);
    let (status, body) = get(url, timeout).await?;
    let values = values(&body?).map_err(|error| format!("{error} (status {status})"))?;
    judge(&values, query)
}

/// One request. It has a thread of its own: whoever stops waiting for an address that is silent, as a run does that is
/// interrupted, is not held up by it.
async fn get(url: Url, timeout: Duration) -> Result<Reply, String> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || sender.send(request(&url, timeout)));
    receiver.await.unwrap_or_else(|_| Err("the request ended unexpectedly".to_owned()))
}

fn request(url: &Url, timeout: Duration) -> Result<Reply, String> {
    let said = |error: ureq::Error| match error {
        ureq::Error::Timeout(_) => format!("no answer within {}", humantime::format_duration(timeout)),
        // An address may hold a secret.
        ureq::Error::BadUri(_) => "the address can't be asked".to_owned(),
        other => bounded(other.to_string()),
    };
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        // Behind a redirect is another address, perhaps a page to sign in.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(format!("fleet/{}", program::version()));
    let mut response = config.build().new_agent().get(url.as_str()).call().map_err(said)?;
    let body = response.body_mut().with_config().limit(LONGEST).read_to_string().map_err(said);
    Ok((response.status().as_u16(), body))
}

/// The answer of `/api/v1/query`.
#[derive(Deserialize)]
struct Answered {
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
    let Some(Data { result: Value::Array(result) }) = answered.data else {
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
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_redirect_is_an_answer_and_not_followed() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/health", server.local_addr().unwrap())).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            let _ = client.read(&mut [0; 1_024]);
            client.write_all(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        assert_eq!(request(&url, Duration::from_secs(10)).unwrap().0, 302);
        answering.join().unwrap();
    }

    fn limits(min: Option<f64>, max: Option<f64>) -> Query {
        Query { url: Url::parse("http://h").unwrap(), query: "up".to_owned(), min, max }
    }

    #[test]
    fn every_series_has_to_be_within_the_limits_and_there_has_to_be_one() {
        let vector = |values: &str| {
            let series = |value: &str| format!(r#"{{"metric":{{}},"value":[1700000000.1,"{value}"]}}"#);
            let series: Vec<String> = values.split_whitespace().map(series).collect();
            values_of(&format!(r#"{{"data":{{"resultType":"vector","result":[{}]}}}}"#, series.join(",")))
        };
        let at_most = limits(None, Some(0.01));
        assert_eq!(judge(&vector("0.004"), &at_most), Ok("0.004".to_owned()));
        assert_eq!(judge(&vector("0 0.01 0.002"), &at_most), Ok("0 to 0.01 (3 values)".to_owned()));
        assert_eq!(judge(&vector("0.004 0.5"), &at_most), Err("0.5".to_owned()));
        assert_eq!(judge(&vector("NaN"), &at_most), Err("NaN".to_owned()));
        assert!(judge(&vector(""), &at_most).unwrap_err().contains("no value"));
        let scalar = values_of(r#"{"data":{"resultType":"scalar","result":[1700000000,"1"]}}"#);
        assert_eq!(judge(&scalar, &limits(Some(1.0), None)), Ok("1".to_owned()));
        assert_eq!(judge(&scalar, &limits(Some(2.0), None)), Err("1".to_owned()));
    }

    fn values_of(body: &str) -> Vec<f64> {
        values(body).unwrap()
    }

    #[test]
    fn what_is_no_value_is_told_and_holds_nothing() {
        assert_eq!(values(r#"{"status":"error","error":"parse error"}"#), Err("parse error".to_owned()));
        assert!(values("<html>").unwrap_err().contains("no answer of a Prometheus server"));
        let matrix = r#"{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"]]}]}}"#;
        assert!(values(matrix).unwrap_err().contains("one moment"));
    }
}
