//! PostgreSQL: a script sees the time zone and date style that the database's own clients see; Rust code sees those of
//! SeaORM's own session.

use std::process::Command;
use std::sync::Arc;

use crate::model::tenant::{Address, Engine, Tenant};
use secrecy::SecretString;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, on_server, unique, url_of, with};

const VALUES: &str = "SELECT extract(epoch FROM timestamp '2026-07-01 12:00' AT TIME ZONE current_setting('TimeZone'))::bigint \
                      || ' ' || ('03/04/2026'::date - date '2026-01-01') || ' ' || current_setting('TimeZone') || ' ' || \
                      current_setting('DateStyle')";

/// The values that psql reads at a URL.
fn by_psql(url: &str) -> String {
    let mut url = url::Url::parse(url).unwrap();
    let options: Vec<String> = url
        .query_pairs()
        .filter_map(|(key, value)| Some(format!("-c {}={value}", key.strip_prefix("options[")?.strip_suffix(']')?)))
        .collect();
    url.set_query(None);
    let mut psql = Command::new("psql");
    psql.args(["-X", "-At", "-c", VALUES, url.as_str()]).env("PGOPTIONS", options.join(" "));
    let out = psql.output().unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

async fn as_psql(home: &Home, url: &str) {
    let tenant = Tenant { address: Address::Url(SecretString::from(url.to_owned())), ..Tenant::clone(&home.tenant) };
    let tenant = Arc::new(tenant);
    home.run("DROP TABLE IF EXISTS fleet_scripts, seaql_migrations, fleet_journal, a, b, c, rust").await;
    let table = |name: &str| format!("CREATE TABLE {name} AS {VALUES} AS v;");
    let journalled = format!("-- fleet: transaction=false\n{}", table("b"));
    let reset = format!("SET TimeZone = 'Asia/Tokyo'; RESET ALL;\n{}", table("c"));
    let files = [("1_a.sql", table("a")), ("2_b.sql", journalled), ("3_c.sql", reset)];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let rust = Migrations::of([sql("m1", [table("rust").trim_end_matches(';')])]);
    let record = Fleet::with_scripts(&rust, &files).await.up(&tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    let expected = by_psql(url);
    for name in ["a", "b", "c"] {
        assert_eq!(home.texts(&format!("SELECT v FROM {name}")).await, [expected.as_str()], "{name} at {url}");
    }
    assert_eq!(home.texts("SELECT v FROM rust").await, ["1782907200 62 UTC ISO, MDY"], "as SeaORM's own runner");
}

#[tokio::test]
async fn a_script_sees_the_time_zone_and_date_style_of_the_databases_own_clients() {
    let role = unique("zoned");
    on_server(Engine::Postgres, &format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'x'")).await;
    with(Site::Postgres, async |home: &Home| {
        let (name, url) = (&home.name, url_of(Engine::Postgres, &home.name));
        let mut of_role = url::Url::parse(&url).unwrap();
        of_role.set_username(&role).unwrap();
        of_role.set_password(Some("x")).unwrap();
        let of_role = of_role.to_string();
        as_psql(home, &url).await;
        on_server(Engine::Postgres, &format!("ALTER DATABASE {name} SET timezone = 'America/Sao_Paulo'")).await;
        as_psql(home, &url).await;
        on_server(Engine::Postgres, &format!("ALTER DATABASE {name} SET datestyle = 'ISO, DMY'")).await;
        as_psql(home, &url).await;
        as_psql(home, &format!("{url}?options[TimeZone]=Europe/Berlin")).await;
        on_server(Engine::Postgres, &format!("ALTER ROLE {role} SET timezone = 'Asia/Tokyo'")).await;
        as_psql(home, &of_role).await;
        on_server(Engine::Postgres, &format!("ALTER ROLE {role} IN DATABASE {name} SET timezone = 'Asia/Kolkata'"))
            .await;
        as_psql(home, &of_role).await;
        as_psql(home, &url).await;
    })
    .await;
    on_server(Engine::Postgres, &format!("DROP ROLE {role}")).await;
}
