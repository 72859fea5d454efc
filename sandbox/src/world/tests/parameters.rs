//! SSM parameters.
use super::*;

fn value(bench: &mut Bench, name: &str) -> ApiResult<(String, u64)> {
    match bench.ssm(SsmRequest::GetParameter(name.to_owned()))? {
        Response::Parameter(parameter) => Ok((parameter.value, parameter.version)),
        other => panic!("{other:?}"),
    }
}

fn put(name: &str, value: &str, overwrite: bool) -> SsmRequest {
    let (name, value) = (name.to_owned(), value.to_owned());
    SsmRequest::PutParameter(PutParameter { name, value, kind: None, overwrite })
}

#[test]
fn a_parameter_is_what_was_put_last() {
    let mut bench = Bench::quick();
    assert_eq!(code(value(&mut bench, "/images/web")), "ParameterNotFound");
    bench.ssm(put("/images/web", "ami-1", false)).unwrap();
    assert_eq!(code(bench.ssm(put("/images/web", "ami-2", false))), "ParameterAlreadyExists");
    bench.ssm(put("/images/web", "ami-2", true)).unwrap();
    assert_eq!(value(&mut bench, "/images/web").unwrap(), ("ami-2".to_owned(), 2));
    assert_eq!(value(&mut bench, "/images/web:2").unwrap().0, "ami-2");
    assert_eq!(code(value(&mut bench, "/images/web:1")), "ParameterNotFound");
}

#[test]
fn public_parameters_are_the_clouds_and_the_configurations() {
    let name = "/aws/service/debian/release/12/latest/amd64";
    let parameters = [(name.to_owned(), DEBIAN_STOCK.to_owned())].into();
    let mut bench = Bench::new(Config { parameters, ..Config::default() });
    assert_eq!(value(&mut bench, name).unwrap().0, DEBIAN_STOCK);
    assert_eq!(value(&mut bench, "/aws/service/mayfly/bare/latest").unwrap().0, MAYFLY_BARE);
    assert_eq!(code(bench.ssm(put("/aws/service/x", "y", true))), "AccessDeniedException");
    let names = vec![name.to_owned(), "absent".to_owned()];
    let Ok(Response::Parameters { found, unknown }) = bench.ssm(SsmRequest::GetParameters(names)) else {
        panic!()
    };
    assert_eq!((found.len(), unknown), (1, vec!["absent".to_owned()]));
}
