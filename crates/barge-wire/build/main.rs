//! Turns `models/NAME.json` and `models/NAME.ops` into `NAME.rs`: shape tables, types, a trait, errors.

mod emit;
mod model;
mod names;

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Each service's model, and the code of its errors about malformed input (API references, "Common Errors").
const SERVICES: &[(&str, &str)] = &[
    ("batch", "ClientException"),
    ("cloudformation", "ValidationError"),
    ("ec2", "InvalidParameterValue"),
    ("ecr", "InvalidParameterException"),
    ("iam", "ValidationError"),
    ("lambda", "ValidationException"),
    ("logs", "InvalidParameterException"),
    ("ssm", "ValidationException"),
    ("sts", "ValidationError"),
];

fn main() {
    let models = Path::new("../../models");
    println!("cargo:rerun-if-changed={}", models.display());
    println!("cargo:rerun-if-changed=build");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for (service, validation_code) in SERVICES {
        let read = |extension| {
            let path = models.join(service).with_extension(extension);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let model = model::Model::read(&read("json"));
        let listed: Vec<String> =
            read("ops").lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
        let code = emit::service(&model, &listed, validation_code);
        fs::write(out.join(format!("{service}.rs")), code).expect("OUT_DIR can be written");
    }
}
