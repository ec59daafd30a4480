//! The picture in the README: the matrix of a real fleet.

use crate::pages::{Stage, rewrites, root};
use crate::transcripts::sample;

const PICTURE: &str = "docs/book/src/images/matrix.svg";

#[test]
fn the_picture_is_of_a_real_fleet() {
    let folder = sample();
    let mut stage = Stage::new(folder.path(), env!("CARGO_BIN_EXE_fleet"));
    // In the middle of a rollout: the canary is done, the early ones are half way, one tenant can't be opened.
    for command in [
        "fleet migrate --canary --yes -q",
        "fleet migrate --wave early --to m20251001_000002 --yes -q",
        "fleet migrate --tenant 'e*' --tenant 'f*' --to m20250110_000002 --yes -q",
        "echo 'not a database' > data/ironbridge-motors.db",
    ] {
        stage.run(command);
    }
    let command = "fleet matrix --all";
    let output = stage.run(&format!("{command} --color always"));
    assert!(output.contains('\u{1b}'), "{output}");
    let session = format!("\u{1b}[1m$\u{1b}[0m {command}\n{output}");
    let svg = anstyle_svg::Term::new().palette(anstyle_svg::WIN10_CONSOLE).render_svg(&session);
    let path = root().join(PICTURE);
    if rewrites() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &svg).unwrap();
    }
    let drawn = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(drawn == svg, "{PICTURE} is not what the program prints; scripts/picture draws it\n{output}");
}
