//! The data that a migration writes through sea-query is the same whether its values are bound or written into a
//! script.

use crate::model::schema::Execution;
use sea_orm::DbErr;
use sea_orm::prelude::{DateTimeUtc, Json, Uuid};
use sea_orm::sea_query::{ColumnDef, Expr, Query, SimpleExpr, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::Migrations;
use crate::engines::support::{Home, with};

on_every_site!(values_are_the_same_bound_or_in_a_script, what_text_does_not_carry_is_bound);

/// Texts that end a literal, statement or line early on some engine, or have a special meaning there.
const TEXTS: [&str; 18] = [
    "",
    "'",
    "''; DROP TABLE kept; --",
    "\\",
    "\\'",
    "\\\\' OR 1=1",
    "a;b",
    "-- no comment",
    "/* nor */ this # or that",
    "$$ $1 ? ?? :name %s",
    "\"double\" `back`",
    "line\nline\r\n\ttab",
    "NULL",
    "Ünïcödé 漢字 🦀 \u{202e}rtl",
    "E'\\n'",
    "\u{7f}\u{8}",
    "trailing space ",
    "{\"json\": \"it's\"}",
];

/// The columns whose values a script can carry, and those whose values it can't.
const CARRIED: [&str; 6] = ["id", "t", "b", "flag", "i", "u"];
const BOUND: [&str; 6] = ["id", "f", "d", "j", "day", "at"];

/// Fills only these columns of a table with all columns.
#[derive(Clone, Copy)]
struct Seed([&'static str; 6]);

impl MigrationName for Seed {
    fn name(&self) -> &str {
        "m1"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Seed {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let col = |name: &'static str| ColumnDef::new(name);
        let mut table = Table::create();
        table.table("kept").col(col("id").integer().primary_key()).col(col("t").text()).col(col("b").blob());
        table.col(col("flag").boolean()).col(col("f").float()).col(col("d").double()).col(col("i").big_integer());
        table
            .col(col("j").json())
            .col(col("u").uuid())
            .col(col("day").date())
            .col(col("at").timestamp_with_time_zone());
        manager.create_table(table).await?;
        for row in 0..=TEXTS.len() {
            let values: Vec<SimpleExpr> = self.0.iter().map(|column| value(column, row)).collect();
            manager.execute(Query::insert().into_table("kept").columns(self.0).values_panic(values).to_owned()).await?;
        }
        Ok(())
    }
}

/// The value of a column in a row; in the row after the last text, everything is NULL.
fn value(column: &str, row: usize) -> SimpleExpr {
    let text = TEXTS.get(row).copied();
    let at: DateTimeUtc = "2024-02-29T23:59:58Z".parse().unwrap();
    let doubles = [0.1, -1.5e-7, 1e15, f64::MIN_POSITIVE, 1.797e308, -0.0, 1.0 / 3.0];
    let json = |text| serde_json::json!({"text": text, "list": [null, true, 1.5], "it's": "\\ \" ;"});
    match column {
        "id" => Expr::val(i32::try_from(row).unwrap()),
        "t" => Expr::val(text.map(str::to_owned)),
        "b" => Expr::val(text.map(|text| text.bytes().chain([0, 0xff, b'\'', b'\\']).collect::<Vec<u8>>())),
        "flag" => Expr::val(text.map(|_| row.is_multiple_of(2))),
        "f" => Expr::val(text.map(|_| [0.1_f32, -2.5, 3.402e38][row % 3])),
        "d" => Expr::val(text.map(|_| doubles[row % doubles.len()])),
        "i" => Expr::val(text.map(|_| [i64::MIN, i64::MAX, 0, -1][row % 4])),
        "j" => Expr::val(text.map(|text| -> Json { json(text) })),
        "u" => Expr::val(text.map(|_| Uuid::from_u128(0x0123_4567_89ab_275c_00ff_eedd_ccbb_aa00 + row as u128))),
        "day" => Expr::val(text.map(|_| at.date_naive())),
        "at" => Expr::val(text.map(|_| at)),
        _ => unreachable!("a column of the table"),
    }
}

/// Every value of every row, with its type if values have their own types (SQLite).
async fn contents(home: &Home, columns: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for column in columns {
        let text = home.site.pick(
            format!("typeof({column}) || ' ' || quote({column})"),
            format!("coalesce({column}::text, 'null')"),
            format!("COALESCE(HEX({column}), 'null')"),
        );
        let found = home.texts(&format!("SELECT {text} FROM kept ORDER BY id")).await;
        all.extend(found.into_iter().enumerate().map(|(row, text)| format!("{column} of row {row}: {text}")));
    }
    all
}

/// Runs a seed as the program would and natively, and compares the contents.
async fn same_both_ways(home: &Home, seed: Seed) -> Fleet {
    let fleet = Fleet::of(&Migrations::new(move || vec![Box::new(seed)])).await;
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{record:?}");
    with(home.site, async |native: &Home| {
        let record = fleet.clone().native(true).up(&native.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{record:?}");
        let (here, there) = (contents(home, &seed.0).await, contents(native, &seed.0).await);
        assert_eq!(here.len(), seed.0.len() * (TEXTS.len() + 1));
        let differences: Vec<_> = here.iter().zip(&there).filter(|(here, there)| here != there).collect();
        assert!(differences.is_empty(), "{differences:#?}");
    })
    .await;
    fleet
}

async fn values_are_the_same_bound_or_in_a_script(home: &Home) {
    let fleet = same_both_ways(home, Seed(CARRIED)).await;
    let script = fleet.work(&home.tenant, &[]).await.steps[0].script.clone();
    assert!(matches!(script.execution, Execution::Compiled { .. }), "{:?}", script.execution);
    let hex = home.site.pick("hex(t)", "upper(encode(convert_to(t, 'UTF8'), 'hex'))", "HEX(t)");
    let found = home.texts(&format!("SELECT {hex} FROM kept WHERE t IS NOT NULL ORDER BY id")).await;
    assert_eq!(found, TEXTS.map(|text| text.bytes().map(|b| format!("{b:02X}")).collect::<String>()));
}

async fn what_text_does_not_carry_is_bound(home: &Home) {
    let fleet = same_both_ways(home, Seed(BOUND)).await;
    let script = fleet.work(&home.tenant, &[]).await.steps[0].script.clone();
    let Execution::Native { reason, .. } = &script.execution else { panic!("{:?}", script.execution) };
    assert_eq!(reason.to_string(), "it binds a floating-point number, which SQL text does not carry exactly");
}
