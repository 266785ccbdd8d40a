//! Names that somebody chose so that they collide.

use statlas_store::testing::version;
use statlas_store::{Batch, Durability};

use crate::durability::{folder, image, open};

/// Ids whose hashes begin with so many ones that no index of any size parts them.
const IDS_CHOSEN_TO_COLLIDE: [&str; 32] = [
    "[vz#mviY",
    "p}SAO<bX",
    "}?-bPq9F",
    "%QDc~/i[",
    "vxW^%v]K",
    "!0OJ~jph",
    "{Y41\\^c7",
    "QL1XA@c)",
    ">6x`HkCk",
    "DVJyj2Uy",
    "YHVNl~.{",
    "Y+.2G6B%",
    "-4@Wn$PR",
    "fhO@5ZK1",
    "\\[bb$amP",
    "YrQE^e~N",
    ".f|~&F1N",
    "S;{d/m1n",
    "hpo?QXv6",
    "&|m):sJ`",
    "_5Frq-63",
    "4s-O/Wx*",
    "?{1F5=mG",
    "N1-33]3H",
    "$/25`xzQ",
    "\\E(S0jsz",
    "FXe(g_Lm",
    "8+v@V6pi",
    ";-hyU5oQ",
    "`UasH$p,",
    "}*+U~7e/",
    "0$iwH)mg",
];

#[test]
fn ids_that_were_chosen_to_collide_are_stored_found_and_opened_again() {
    let folder = folder();
    let path = folder.path().join("store");
    let entities = IDS_CHOSEN_TO_COLLIDE.map(|id| version(id, 0));
    let store = open(&path);
    for entity in &entities {
        let mut batch = Batch::new();
        batch.put_entity(entity.clone());
        store.commit(batch, Durability::Written).expect("it is stored");
    }
    let images = [folder.path().join("killed"), path.clone()];
    image(&path, &images[0]);
    store.close().expect("it closes");
    for path in images {
        let store = open(&path);
        for entity in &entities {
            let found = store.head(entity.id()).expect("nothing is damaged").expect("it is there");
            assert_eq!(found.address(), entity.address());
        }
        let report = store.engine().check(&mut |_, _| {}).expect("it can be checked");
        assert!(report.damage.is_empty(), "{:?}", report.damage);
    }
}
