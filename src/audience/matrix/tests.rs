use alloc::string::ToString;

use super::*;

#[test]
fn known_answer() {
    let matrix = Matrix::default();
    assert_eq!(
        matrix.to_canonical(),
        [3, 0, 0, 0, b'1', b'.', b'2', 0, 0, 0, 0, 0, 0, 2, 3, 1, 2, 3, 3]
    );
    assert_eq!(matrix.digest(), Domain::Matrix.hash(&matrix.to_canonical()));
    assert_eq!(
        matrix.digest().to_string(),
        "58551ab10e06eb1294320fad49f5e12938e09c8bbeeee7ce2c0c41cabfa0ea79"
    );
    assert_eq!(Matrix::new(Matrix::SHIPPED), Ok(matrix));
}

/// ASM2-10.4.
#[test]
fn asm2_10_4_a_looser_cell_of_a_worse_class_or_higher_tier_is_refused() {
    for (row, column) in (0..3).flat_map(|r| (0..4).map(move |c| (r, c))) {
        for decision in [
            MatrixDecision::Allow,
            MatrixDecision::Limit,
            MatrixDecision::StepUp,
            MatrixDecision::Block,
        ] {
            let mut cells = Matrix::SHIPPED;
            cells[row][column] = decision;
            let naive = (0..3).all(|r| (1..4).all(|c| cells[r][c - 1] <= cells[r][c]))
                && (1..3).all(|r| (0..4).all(|c| cells[r - 1][c] <= cells[r][c]));
            assert_eq!(Matrix::new(cells).is_ok(), naive, "{row} {column} {decision}");
        }
    }
    let mut cells = Matrix::SHIPPED;
    cells[2][0] = MatrixDecision::Allow;
    cells[1][0] = MatrixDecision::Limit;
    assert_eq!(
        Matrix::new(cells).unwrap_err().to_string(),
        "cell `class.B.act` decides allow, but `class.B.observe` of a lower tier decides limit"
    );
}

#[cfg(feature = "files")]
mod files {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_shipped_file_is_the_shipped_matrix() {
        assert_eq!(Matrix::from_toml(SHIPPED_TOML), Ok(Matrix::default()));
    }

    #[test]
    fn every_cell_must_be_given() {
        for (class, tier) in Class::ALL.into_iter().flat_map(|c| TIERS.map(|t| (c, t))) {
            let cell = Cell { class, tier };
            let name = cell.to_string();
            let key = name.rsplit('.').next().unwrap();
            let (head, tail) = SHIPPED_TOML.split_once(&alloc::format!("[class.{class}]")).unwrap();
            let mut lines: Vec<_> = tail.lines().collect();
            let at = lines.iter().position(|line| line.starts_with(key)).unwrap();
            lines.remove(at);
            let cut = lines.join("\n");
            let text = alloc::format!("{head}[class.{class}]{cut}");
            assert_eq!(Matrix::from_toml(&text), Err(MatrixError::Missing { cell }));
        }
    }

    #[test]
    fn errors_point_at_line_and_column() {
        let other = SHIPPED_TOML.replace("version = \"1.2\"", "version = \"1.1\"");
        assert_eq!(
            Matrix::from_toml(&other).unwrap_err().to_string(),
            "line 9, column 11: expected matrix version 1.2, found `1.1`"
        );
        let unknown = SHIPPED_TOML.replacen("act = ", "sing = ", 1);
        let error = Matrix::from_toml(&unknown).unwrap_err();
        assert!(
            matches!(&error, MatrixError::Syntax { line: 13, column: 1, what } if what.contains("`sing`")),
            "{error}"
        );
        let bad = SHIPPED_TOML.replacen("\"limit\"", "\"maybe\"", 1);
        let error = Matrix::from_toml(&bad).unwrap_err();
        assert!(matches!(error, MatrixError::Syntax { line: 24, column: 11, .. }), "{error}");
    }
}
