//! Asks apxs where httpd is, compiles the C shim and generates the bindings. Without the feature
//! `httpd` it does nothing.

fn main() {
    #[cfg(feature = "httpd")]
    httpd::build();
}

#[cfg(feature = "httpd")]
mod httpd {
    use std::path::PathBuf;
    use std::process::Command;

    const SHIM: [&str; 3] = ["hooks.c", "log.c", "inline.c"];
    const FUNCTIONS: &str = "(ap|apr|shim|session_store)_.*";
    const TYPES: &str = "request_rec|server_rec|session_rec|cmd_parms|command_rec|module|authz_.*|rewrite_mapfunc_t|\
                         (ap|apr|session_store)_.*";
    const VARIABLES: &str = "(AP|APR|APLOG|AUTHZ|HTTP|MODULE_MAGIC|SHIM|SESSION_STORE|OK$|DECLINED$|DONE$|\
                             SUSPENDED$|RSRC_CONF|ACCESS_CONF|OR_|GLOBAL_ONLY|NOT_IN|TAKE|ITERATE|\
                             RAW|FLAG|CONN_|ap_|apr_hook_debug).*";

    pub fn build() {
        println!("cargo:rerun-if-changed=build.rs");
        println!("cargo:rerun-if-changed=c_shim");
        println!("cargo:rerun-if-env-changed=APXS");
        let include = includes();
        compile(&include);
        bind(&include);
        // The library stays mapped over restarts: no late thread exit or cleanup can run into a hole,
        // and statics behave the same whatever a dependency does.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
        // httpd shows the names of a module to all that are loaded later: another build of this one would
        // take the first one's for its own.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");
        link_tool();
    }

    fn query(tool: &str, arguments: &[&str]) -> String {
        let output = Command::new(tool).args(arguments).output().unwrap_or_else(|cause| {
            panic!("running {tool}: {cause}; install httpd's development package (apache2-dev)")
        });
        assert!(output.status.success(), "{tool} {arguments:?} failed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The tool opens APR's databases itself; the module finds APR in httpd.
    fn link_tool() {
        let apxs = std::env::var("APXS").unwrap_or_else(|_| "apxs".to_owned());
        println!("cargo:rustc-link-arg-bin=htsession=-Wl,--as-needed");
        for config in ["APU_CONFIG", "APR_CONFIG"] {
            let flags = query(&query(&apxs, &["-q", config]), &["--link-ld"]);
            for flag in flags.split_whitespace() {
                println!("cargo:rustc-link-arg-bin=htsession={flag}");
                // Beside a httpd of its own APR is where the loader does not look by itself.
                let folder = flag.strip_prefix("-L").filter(|path| !path.starts_with("/usr/lib"));
                if let Some(folder) = folder {
                    println!("cargo:rustc-link-arg-bin=htsession=-Wl,-rpath,{folder}");
                }
            }
        }
    }

    fn includes() -> Vec<String> {
        let apxs = std::env::var("APXS").unwrap_or_else(|_| "apxs".to_owned());
        let apr = query(&apxs, &["-q", "APR_CONFIG"]);
        let mut flags = vec![format!("-I{}", query(&apxs, &["-q", "INCLUDEDIR"]))];
        let more = query(&apr, &["--includes", "--cppflags"]);
        flags.extend(more.split_whitespace().map(str::to_owned));
        flags
    }

    fn compile(include: &[String]) {
        let mut shim = cc::Build::new();
        shim.files(SHIM.map(|file| format!("c_shim/{file}")));
        for flag in include {
            shim.flag(flag);
        }
        shim.include("c_shim").warnings(true).extra_warnings(true).std("gnu99").compile("shim");
    }

    fn bind(include: &[String]) {
        let bindings = bindgen::Builder::default()
            .header("c_shim/bindings.h")
            .clang_args(include)
            .allowlist_function(FUNCTIONS)
            .allowlist_type(TYPES)
            .allowlist_var(VARIABLES)
            .use_core()
            .generate_comments(false)
            .layout_tests(false)
            .generate()
            .expect("bindgen reads httpd's headers");
        let to = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        bindings.write_to_file(to.join("bindings.rs")).expect("the bindings can be written");
    }
}
