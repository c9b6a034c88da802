use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use super::*;

/// How long a change may take to be told.
const PATIENCE: Duration = Duration::from_secs(60);
/// As long as nothing is told in this time, nothing is.
const SILENCE: Duration = Duration::from_secs(1);

/// A project with components of Cargo, `products` and `cart`, and one that a command makes of the folder `page`.
struct Shop {
    _folder: tempfile::TempDir,
    project: Project,
    watch: Watch,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for made in ["products/src", "cart/src", "deploy", "page/js", "state"] {
            fs::create_dir_all(folder.path().join(made)).unwrap();
        }
        let mut text = "[app]\nname = \"shop\"\nmanifests = [\"deploy\"]\n".to_owned();
        for name in ["products", "cart"] {
            fs::write(folder.path().join(name).join("Cargo.toml"), "").unwrap();
            fs::write(folder.path().join(name).join("src/lib.rs"), "").unwrap();
            text.push_str(&format!("[component.{name}]\nimage = \"{name}\"\npath = \"{name}\"\n"));
        }
        fs::write(folder.path().join("page/js/a.js"), "").unwrap();
        text.push_str(
            "[component.page]\nimage = \"page\"\npath = \"page\"\ncommand = \"x\"\nartifact = \"out/a.wasm\"\n",
        );
        fs::write(folder.path().join(PROJECT_FILE), text).unwrap();
        let project = Project::read(folder.path()).unwrap();
        let watch = Watch::begin(&project, &[project.root.join("page/state")]).await.unwrap();
        Self { _folder: folder, project, watch }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.project.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Waits until all of these components have changed, and fails if another one has.
    async fn changed(&mut self, components: &[&str]) {
        let mut missing: BTreeSet<_> = components.iter().map(|&name| name.to_owned()).collect();
        while !missing.is_empty() {
            let changes = tokio::time::timeout(PATIENCE, self.watch.next()).await.expect("a change").unwrap();
            for component in changes.components.into_keys() {
                assert!(components.contains(&&*component), "{component}");
                missing.remove(&component);
            }
        }
    }

    async fn nothing_changed(&mut self) {
        let changes = tokio::time::timeout(SILENCE, self.watch.next()).await;
        assert!(changes.is_err(), "{changes:?}");
    }

    /// A build of one component that writes these files.
    async fn build(&mut self, name: &str, same: bool, writes: &[(&str, &str)], read: Option<&[&str]>) -> Vec<PathBuf> {
        let began = SystemTime::now();
        writes.iter().for_each(|(path, text)| self.write(path, text));
        let read = read.map(|read| read.iter().map(|path| self.project.root.join(path)).collect());
        let inputs = read.map(|read| Inputs { read, made: None });
        let by_cargo = inputs.is_some();
        self.finish(name, Finished { began, same, inputs, by_cargo, mended_in: BTreeSet::new() }).await
    }

    async fn finish(&mut self, name: &str, finished: Finished) -> Vec<PathBuf> {
        let finished = BTreeMap::from([(name.to_owned(), finished)]);
        self.watch.built(finished).await.unwrap().into_values().flatten().collect()
    }
}

#[tokio::test]
async fn a_source_asks_for_its_component_alone_and_manifests_are_told_apart() {
    let mut shop = Shop::open().await;
    shop.write("cart/src/lib.rs", "fn main() {}");
    shop.changed(&["cart"]).await;
    shop.write("deploy/a/b.yaml", "kind: A");
    let changes = tokio::time::timeout(PATIENCE, shop.watch.next()).await.unwrap().unwrap();
    assert_eq!(changes, Changes { manifests: true, ..Changes::default() });
    shop.write("cart/README.md", "read it");
    shop.write("cart/src/.lib.rs.swp", "x");
    shop.write("page/state/db", "x");
    shop.write("page/target/CACHEDIR.TAG", "x");
    shop.write("page/out/a.wasm", "x");
    shop.nothing_changed().await;
}

#[tokio::test]
async fn folders_that_go_and_come_and_files_that_are_replaced_are_watched_on() {
    let mut shop = Shop::open().await;
    let at = |shop: &Shop, path: &str| shop.project.root.join(path);
    for round in 0..3 {
        // As `git checkout` away and back does.
        fs::remove_dir_all(at(&shop, "cart")).unwrap();
        shop.changed(&["cart"]).await;
        shop.write("cart/Cargo.toml", "");
        shop.write("cart/src/lib.rs", &format!("// {round}"));
        shop.changed(&["cart"]).await;
        // Moved away, and back, with a change in between.
        fs::rename(at(&shop, "products/src"), at(&shop, "products/away")).unwrap();
        shop.changed(&["products"]).await;
        fs::write(at(&shop, "products/away/lib.rs"), format!("// {round}")).unwrap();
        fs::rename(at(&shop, "products/away"), at(&shop, "products/src")).unwrap();
        shop.changed(&["products"]).await;
        // As editors save.
        shop.write("products/src/.new", &format!("// saved {round}"));
        fs::rename(at(&shop, "products/src/.new"), at(&shop, "products/src/lib.rs")).unwrap();
        shop.changed(&["products"]).await;
    }
    shop.write("cart/wit/world.wit", "made later");
    shop.changed(&["cart"]).await;
    shop.write("cart/.cargo/config.toml", "[build]");
    shop.changed(&["cart"]).await;
}

#[tokio::test]
async fn what_a_link_leads_to_is_watched() {
    let mut shop = Shop::open().await;
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("b.js"), "1").unwrap();
    symlink(elsewhere.path().join("b.js"), shop.project.root.join("page/js/b.js")).unwrap();
    shop.changed(&["page"]).await;
    fs::write(elsewhere.path().join("b.js"), "2").unwrap();
    shop.changed(&["page"]).await;
}

#[tokio::test]
async fn a_folder_that_may_not_be_read_keeps_nothing_else_from_being_watched() {
    let mut shop = Shop::open().await;
    let secret = shop.project.root.join("page/secret");
    fs::create_dir(&secret).unwrap();
    let allow = |mode| fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    allow(0);
    shop.watch = Watch::begin(&shop.project, &[]).await.unwrap();
    // Root may read all.
    if fs::read_dir(&secret).is_err() {
        let told = shop.watch.complaints();
        assert!(
            told.iter().any(|told| told.contains("page/secret cannot be watched: you may not read it")),
            "{told:?}"
        );
    }
    shop.write("page/js/a.js", "else");
    shop.changed(&["page"]).await;
    allow(0o700);
}

#[tokio::test]
async fn where_changes_give_no_sign_they_are_looked_for() {
    let mut shop = Shop::open().await;
    let (silent, signs) = mpsc::channel(1);
    (shop.watch.signs, shop.watch.poll_every) = (signs, Some(QUIET));
    shop.write("cart/src/lib.rs", "fn main() {}");
    shop.changed(&["cart"]).await;
    drop(silent);
}

#[tokio::test]
async fn there_and_back_is_no_change() {
    let mut shop = Shop::open().await;
    shop.write("page/js/a.js", "else");
    shop.write("page/js/a.js", "");
    shop.nothing_changed().await;
}

#[tokio::test]
async fn a_file_that_goes_by_its_time_changes_when_it_is_touched() {
    let mut shop = Shop::open().await;
    let source = shop.project.root.join("cart/src/lib.rs");
    let touch = |at: SystemTime| fs::File::options().append(true).open(&source).unwrap().set_modified(at).unwrap();
    touch(SystemTime::UNIX_EPOCH);
    shop.nothing_changed().await;
    shop.watch.go_by_time("cart".to_owned(), source.clone()).await.unwrap();
    shop.nothing_changed().await;
    touch(SystemTime::now());
    shop.changed(&["cart"]).await;
}

#[tokio::test]
async fn what_a_build_read_outside_of_its_folder_is_watched_from_then_on() {
    let mut shop = Shop::open().await;
    shop.write("shared/src/lib.rs", "1");
    shop.nothing_changed().await;
    shop.build("cart", true, &[], Some(&["shared/src/lib.rs", "cart/src/lib.rs"])).await;
    shop.write("shared/src/lib.rs", "2");
    shop.changed(&["cart"]).await;
}

#[tokio::test]
async fn what_kept_a_package_from_being_built_may_be_mended_anywhere_in_what_it_names_until_it_is_built() {
    let mut shop = Shop::open().await;
    shop.write("shared/src/lib.rs", "fn broken(");
    shop.write("cart/Cargo.toml", "[dependencies]\nshared = { path = \"../shared\" }\n");
    shop.changed(&["cart"]).await;
    let began = SystemTime::now() + Duration::from_secs(1);
    shop.write("cart/Cargo.lock", "made");
    let mended_in = crate::build::around(&shop.project.root.join("cart"));
    shop.finish("cart", Finished { began, same: false, inputs: None, by_cargo: true, mended_in }).await;
    shop.nothing_changed().await;
    shop.write("shared/src/lib.rs", "fn mended() {}");
    shop.changed(&["cart"]).await;
    shop.write("cart/pages/missing.html", "made later");
    shop.changed(&["cart"]).await;
    shop.build("cart", false, &[], Some(&["shared/src/lib.rs", "cart/src/lib.rs"])).await;
    shop.write("cart/README.md", "read it");
    shop.nothing_changed().await;
    shop.write("shared/src/lib.rs", "fn other() {}");
    shop.changed(&["cart"]).await;
}

#[tokio::test]
async fn a_change_during_a_build_is_told_after_it() {
    let mut shop = Shop::open().await;
    shop.build("cart", false, &[("cart/src/lib.rs", "saved meanwhile")], Some(&[])).await;
    shop.changed(&["cart"]).await;
    shop.build("cart", false, &[], Some(&[])).await;
    shop.nothing_changed().await;
}

#[tokio::test]
async fn a_build_is_never_its_own_cause_for_long() {
    let mut shop = Shop::open().await;
    shop.build("cart", false, &[("cart/Cargo.lock", "made")], Some(&[])).await;
    shop.build("page", false, &[("page/out/a.wasm", "made")], None).await;
    shop.nothing_changed().await;
    let (mut builds, mut told) = (0, Vec::new());
    loop {
        builds += 1;
        told.extend(shop.build("page", builds > 1, &[("page/made.js", &builds.to_string())], None).await);
        match tokio::time::timeout(SILENCE, shop.watch.next()).await {
            Ok(changes) => assert!(changes.unwrap().components.into_keys().eq(["page"])),
            Err(_) => break,
        }
    }
    assert_eq!((builds, told), (2, vec![shop.project.root.join("page/made.js")]));
}
