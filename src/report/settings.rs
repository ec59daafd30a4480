//! The settings in force, and the reference page of all settings.

use std::path::Path;

use serde_json::json;

use super::sheet::Sheet;
use super::style::Style;
use crate::inputs::{Origin, SETTINGS, Settings};
use crate::report::Format;

/// Each setting with its value and origin; a table is one line per setting below the name of the file.
pub(crate) fn in_force(file: &Path, settings: &Settings, format: Format, style: &Style) -> String {
    let values = || {
        Sheet::of(&settings.origins)
            .column("Setting", |(key, ..)| key)
            .column("Value", |(_, value, _)| value)
            .column("From", |(.., from)| from)
            .sheet()
    };
    let table = || format!("{}\n{}", file.display(), values().headless().table(style));
    let row = |(key, value, from): &(String, String, Origin)| {
        let (from, variable) = match from {
            Origin::Environment(name) => ("environment", Some(name)),
            Origin::Default => ("default", None),
            Origin::File => ("file", None),
            Origin::Flag => ("flag", None),
        };
        json!({ "setting": key, "value": value, "from": from, "variable": variable })
    };
    let rows = || settings.origins.iter().map(row).collect::<Vec<_>>();
    format.write(table, || json!({ "file": file.display().to_string(), "settings": rows() }), values)
}

/// The reference page, in Markdown: `made` (how it was made), then a row for each setting.
pub(crate) fn reference(made: &str) -> String {
    let mut page = format!(
        "# Settings\n\n{made}\n\n\
         These are the keys of `[fleet]` in the [tenant file](tenants-toml.md). A flag wins over the environment, the\n\
         environment over the file, and the file over the default. `fleet config` prints the values in force, and where each\n\
         comes from. Durations have a unit, and are at most a day: `500ms`, `5s`, `2m 30s`.\n\n\
         | key | type | default | flag | environment | meaning |\n|---|---|---|---|---|---|\n",
    );
    for setting in &SETTINGS {
        let or_none = |text: Option<String>| text.map_or_else(|| "none".to_owned(), |text| format!("`{text}`"));
        let meaning = [setting.about, setting.note].join(". ");
        page.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            setting.key,
            setting.form.describe(),
            or_none(setting.default.map(str::to_owned)),
            or_none(setting.flag.map(|(long, _)| format!("--{long}"))),
            or_none((!setting.is_of_file()).then(|| setting.variable())),
            meaning.trim_end().trim_end_matches('.').to_owned() + ".",
        ));
    }
    page + "\n\
         The environment has `FLEET_SCRATCH_POSTGRES_URL` and `FLEET_SCRATCH_MYSQL_URL` for the keys of `[scratch]`, too; it\n\
         never sets tenants or waves. A misspelt name is refused, with the name that was meant; every other variable that\n\
         begins with `FLEET_` gives a warning, unless the tenant file names it. Names are in capitals. `FLEET_CONFIG`, `FLEET_COLOR` and\n\
         `FLEET_LOG` are no settings.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_has_each_setting_with_all_its_names() {
        let page = reference("<!-- made -->");
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), SETTINGS.len());
        let line = "| `lock_timeout` | duration above 0s | `3s` | `--lock-timeout` | `FLEET_LOCK_TIMEOUT` | How long a \
                    statement may wait for a lock (e.g. 500ms, 3s). The first tries wait for a part of it. MySQL and \
                    MariaDB count whole seconds, rounded up. |";
        assert!(page.lines().any(|found| found == line), "{page}");
        let line = "| `name` | text | none | none | `FLEET_NAME` | The name of the fleet. |";
        assert!(page.lines().any(|found| found == line), "{page}");
    }
}
