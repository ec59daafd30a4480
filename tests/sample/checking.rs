//! `check --entities` and `prove` from the command line: scratch servers from the file and the environment, exit codes,
//! and no engine silently left out.

use crate::support::{Fleet, all, finish, mariadb_url, postgres_url, program, signal, wait};

fn with_servers() -> Fleet {
    let servers = format!("[scratch]\npostgres_url = \"{}\"\nmysql_url = \"{}\"\n", postgres_url(), mariadb_url());
    Fleet::new().head(&servers).sqlite(1).postgres(1).mariadb(1)
}

/// Somebody with tenants takes the program for one that migrates theirs.
#[test]
fn the_sample_program_says_whose_migrations_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let ran = crate::support::finish(&mut crate::support::program(folder.path(), &["init", "shop"])).exits(0);
    ran.tells(&["this program, fleet, holds the migrations of fleet's own sample"]);
}

#[test]
fn the_entities_of_this_repository_fit_its_migrations_on_all_engines() {
    let fleet = with_servers();
    let json = fleet.run(&["check", "--entities", "--format", "json"]).exits(0).json();
    let engines = json["engines"].as_array().unwrap();
    assert_eq!(engines.len(), 3, "{json}");
    for engine in engines {
        assert_eq!((&engine["could_not"], engine["findings"].as_array().unwrap().len()), (&().into(), 0), "{engine}");
    }
    for id in ["lite-000", "pg-000", "my-000"] {
        assert!(!fleet.has_table(id, "users"), "{id}: no tenant is touched");
    }
}

#[test]
fn the_sample_has_no_finding_without_a_reason_on_any_engine() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let engines = ["lint", "--engine", "sqlite", "--engine", "postgres", "--engine", "mysql"];
    finish(&mut program(root, &engines)).exits(0).shows(&["0 errors, 0 warnings"]);
}

#[test]
fn entities_are_compared_with_live_tenants() {
    let fleet = with_servers();
    fleet.run(&["migrate", "--yes"]).exits(0);
    let ran = fleet.run(&["check", "--entities", "--live", "--tenant", "*-000"]).exits(0);
    ran.shows(&["postgres: entities and migrations agree", "postgres 1 tenant (pg-000): entities and tables agree"]);
    fleet.ask("pg-000", "ALTER TABLE users ALTER COLUMN full_name DROP NOT NULL");
    fleet.ask("lite-000", "ALTER TABLE users DROP COLUMN full_name");
    let json = fleet.run(&["check", "--entities", "--live", "--format", "json"]).exits(2).json();
    let of = |tenant: &str| {
        let all = json["engines"].as_array().unwrap();
        all.iter().find(|of| of["tenants"][0] == tenant).unwrap_or_else(|| panic!("{tenant}: {json}"))["findings"]
            .clone()
    };
    assert_eq!(
        (&of("pg-000")[0]["column"], &of("pg-000")[0]["migrations"]),
        (&"full_name".into(), &"takes NULL".into())
    );
    assert_eq!(of("lite-000")[0]["migrations"], "no column");
    assert_eq!(of("my-000"), serde_json::json!([]));
    // A tenant that can't be read is a row, and nothing is green because of it.
    std::fs::remove_file(fleet.path("lite-000.db")).unwrap();
    let ran = fleet.run(&["check", "--entities", "--live", "--tenant", "lite-000"]).exits(1);
    ran.shows(&["lite-000", "not checked"]);
}

#[test]
fn an_engine_without_a_scratch_server_is_told_and_not_green() {
    let fleet = Fleet::new().sqlite(1).postgres(1);
    fleet.write();
    for command in [&["check", "--entities"][..], &["prove", "--empty"]] {
        let ran = fleet.run(command).exits(1);
        assert!(ran.err.contains("postgres") && ran.err.contains("postgres_url"), "{ran:?}");
        assert!(ran.out.contains("postgres"), "{ran:?}");
        let mut only = command.to_vec();
        only.extend(["--engine", "sqlite"]);
        fleet.run(&only).exits(0);
    }
    // A variable of the environment is as good as the file.
    let url = postgres_url();
    let mut program = fleet.program(&["check", "--entities"]);
    let ran = finish(program.env("FLEET_SCRATCH_POSTGRES_URL", &url)).exits(0);
    assert!(ran.out.contains("postgres: entities and migrations agree"), "{ran:?}");
}

#[test]
fn the_migrations_of_this_repository_are_proven_on_all_engines() {
    let fleet = with_servers();
    // The online forms are proven beside the migrations themselves.
    let json = fleet.run(&["prove", "--online", "--format", "json"]).exits(0).json();
    let engines = json["engines"].as_array().unwrap();
    assert_eq!(engines.len(), 3, "{json}");
    for engine in engines {
        assert_eq!(engine["could_not"], serde_json::Value::Null, "{engine}");
        let proofs = engine["proofs"].as_array().unwrap();
        let names: Vec<&str> = proofs.iter().map(|p| p["migration"].as_str().unwrap()).collect();
        assert!(all().iter().all(|name| names.contains(&name.as_str())), "{names:?}");
        assert!(proofs.iter().all(|p| p["verdict"] == "proven"), "{engine}");
        assert!(proofs.last().unwrap()["rows"].as_u64().unwrap() > 1_000, "{engine}");
    }
    for id in ["lite-000", "pg-000", "my-000"] {
        assert!(!fleet.has_table(id, "users"), "{id}: no tenant is touched");
    }
}

#[test]
fn made_up_rows_can_be_left_out() {
    let fleet = Fleet::new().sqlite(1);
    let markdown = fleet.run(&["prove", "--empty", "--format", "md"]).exits(0);
    assert!(markdown.out.starts_with("| Migration | Engine | Result |"), "{markdown:?}");
    assert!(markdown.out.lines().count() >= 2 + all().len(), "{markdown:?}");
    fleet.run(&["prove", "--empty", "--rows", "users=1"]).exits(64);
}

#[test]
fn a_signal_ends_a_proof_at_once() {
    // A server that accepts the connection and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://nobody@{}/nothing", silent.local_addr().unwrap());
    let fleet = Fleet::new().head(&format!("[scratch]\npostgres_url = \"{url}\"\n")).sqlite(1);
    fleet.write();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let begun = std::time::Instant::now();
        let child = fleet.program(&["prove", "--engine", "postgres"]).spawn().unwrap();
        let _connection = silent.accept().unwrap();
        signal(&child, name);
        let ran = wait(child).exits(code);
        assert!(ran.err.contains("interrupted"), "{ran:?}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(8), "it did not wait for the server");
    }
}

#[test]
fn the_password_of_a_scratch_server_is_told_nowhere() {
    const SECRET: &str = "s3cr3t-scratch";
    let wrong = postgres_url().replacen("://", "://nobody_here:s3cr3t-scratch@", 1);
    let (front, back) = wrong.split_once('@').unwrap();
    let url = format!("{front}@{}", back.rsplit_once('@').map_or(back, |(_, host)| host));
    let fleet = Fleet::new().head(&format!("[scratch]\npostgres_url = \"{url}\"\n")).sqlite(1);
    for command in
        [&["prove", "--engine", "postgres", "-vv"][..], &["check", "--entities", "--engine", "postgres"], &["config"]]
    {
        let ran = fleet.run(command);
        assert_eq!(ran.code, Some(i32::from(command[0] != "config")), "{ran:?}");
        assert!(!ran.out.contains(SECRET) && !ran.err.contains(SECRET), "{ran:?}");
    }
    assert!(fleet.run(&["config"]).out.contains("scratch.postgres_url"));
}
